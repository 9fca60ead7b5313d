# SPDX-License-Identifier: Apache-2.0
"""What was asked, in which order, where it runs, and what is committed."""
