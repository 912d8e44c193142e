# SPDX-License-Identifier: Apache-2.0
"""How is OTLP over HTTP spoken? Signals into bytes, bytes over one connection, answers into what they mean."""
