"""AdminUtils (pallet 19): the settings of the chain and of its subnets, put together.

`admin_utils_owner` and `admin_utils_shape` are for owners and root, `admin_utils_root` and
`admin_utils_global` for root alone, as is `admin_utils_baskets`. Upstream: pallets/admin-utils.
"""

from __future__ import annotations

from chain.pallets import (
    admin_utils_baskets,
    admin_utils_common,
    admin_utils_global,
    admin_utils_owner,
    admin_utils_root,
    admin_utils_shape,
)
from chain.runtime.pallet import Pallet

MODULES = (
    admin_utils_common,
    admin_utils_owner,
    admin_utils_shape,
    admin_utils_root,
    admin_utils_global,
    admin_utils_baskets,
)

pallet = Pallet("AdminUtils", *(module.__name__ for module in MODULES)).seal()
