# SPDX-License-Identifier: Apache-2.0
"""How does a process begin and end? Forks, signals, exits, children, frozen functions, within one budget."""
