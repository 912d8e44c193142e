# SPDX-License-Identifier: Apache-2.0
"""How does a trace come in with a request, within which limits, and who may say that it goes on here?"""
