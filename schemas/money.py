"""Money: what was paid, in one ISO 4217 currency (credits.md section 1).

Amounts are exact at 9 decimals, so that the slices of a paid amount can be written; adding two
currencies cannot.
"""

from dataclasses import dataclass
from typing import Final

from schemas.numbers import CREDIT_DECIMALS, NumberError, format_units

CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR
    FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES
    KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR
    MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
    UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a table of codes reads best as text
)
"""The codes of ISO 4217 that name a country's money; metals and test codes are none."""


def check_currency(code: str) -> str:
    """`code` where it is in the table; else raises NumberError."""
    if code not in CURRENCIES:
        message = f"expected an ISO 4217 currency code such as USD, got {code!r}"
        raise NumberError(message)
    return code


@dataclass(frozen=True, slots=True)
class Money:
    """`units` of 10^-9 of a currency. Raises NumberError for a code that does not exist."""

    units: int
    currency: str

    def __post_init__(self) -> None:
        check_currency(self.currency)

    @property
    def amount(self) -> str:
        """The canonical decimal text of the amount, without the currency."""
        return format_units(self.units, CREDIT_DECIMALS)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def __add__(self, other: "Money") -> "Money":
        if not isinstance(other, Money):
            return NotImplemented
        if other.currency != self.currency:
            message = f"cannot add {other.currency} to {self.currency}"
            raise TypeError(message)
        return Money(self.units + other.units, self.currency)
