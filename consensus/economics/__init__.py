"""The economy in integers: emission, subnet shares, pools, dividends, curves, locks.

Everything here is a pure function of numbers. Amounts are integers in rao (TAO) or in alpha's
smallest unit; fractions are the raw bits of a fixed-point format (see `fixed`). Storage, accounts
and events live in `chain/pallets`.
"""
