"""In a checkout, `quintet` is the package in service/; an installed wheel has it under this name."""

import sys

import service

sys.modules[__name__] = service
