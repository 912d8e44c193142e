# SPDX-License-Identifier: Apache-2.0
"""Where does what is undelivered outlive the process? In files that several processes share."""
