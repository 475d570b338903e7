"""Writes test/fixtures/schemas/pydantic.json: the JSON schemas of models as programs write them.

Needs Python 3.11 with pydantic 2 and email-validator:
    python scripts/oracles/pydantic-schemas.py > test/fixtures/schemas/pydantic.json
"""
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Any, Generic, List, Literal, NamedTuple, Optional, TypeVar, Union
from uuid import UUID

import annotated_types
import pydantic
from pydantic import (AnyUrl, AwareDatetime, Base64Str, BaseModel, ByteSize, ConfigDict, EmailStr, Field, FileUrl,
                      FutureDate, HttpUrl, Json, NegativeInt, NonNegativeFloat, PastDatetime, PositiveInt, RootModel,
                      SecretStr, StringConstraints, TypeAdapter, WebsocketUrl, conint, conlist, constr)
from typing_extensions import TypedDict

T = TypeVar("T")
found = {}


def add(name, type_):
    for mode in ("validation", "serialization"):
        try:
            schema = TypeAdapter(type_).json_schema(mode=mode)
        except pydantic.errors.PydanticInvalidForJsonSchema:
            continue
        if schema not in found.values():
            found[name if mode == "validation" else f"{name} ({mode})"] = schema


class Color(str, Enum):
    red = "red"
    blue = "blue"


class Level(IntEnum):
    low = 1
    high = 3


class Cat(BaseModel):
    pet_type: Literal["cat"]
    meows: int


class Dog(BaseModel):
    pet_type: Literal["dog", "hound"]
    barks: float


class Lizard(BaseModel):
    pet_type: Literal["reptile"] = "reptile"
    scales: bool


class Owner(BaseModel):
    pet: Union[Cat, Dog, Lizard] = Field(discriminator="pet_type")
    n: Optional[int] = None


class Node(BaseModel):
    value: str
    children: List["Node"] = []


class LinkedList(BaseModel):
    head: int
    tail: Optional["LinkedList"] = None


class Page(BaseModel, Generic[T]):
    items: List[T]
    next: Optional[str] = None


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Titled(BaseModel):
    model_config = ConfigDict(title="A title", json_schema_extra={"examples": [{"a": 1}]})
    a: int = Field(description="A number", examples=[1, 2], deprecated=True)


class Aliased(BaseModel):
    first_name: str = Field(alias="firstName")
    last_name: str = Field(serialization_alias="lastName", default="x")


class Movie(TypedDict, total=False):
    title: str
    year: int


class Point(NamedTuple):
    x: float
    y: float


class User(BaseModel):
    id: UUID
    name: Annotated[str, StringConstraints(min_length=1, max_length=50, strip_whitespace=True)]
    email: EmailStr
    website: Optional[HttpUrl] = None
    born: date
    tags: set[str] = set()
    role: Literal["admin", "user"] = "user"
    settings: dict[str, Any] = {}


class Address(BaseModel):
    street: str
    zip: str = Field(pattern=r"^\d{5}(-\d{4})?$")
    country: Annotated[str, Field(min_length=2, max_length=2)]


class Customer(BaseModel):
    user: User
    addresses: conlist(Address, min_length=1, max_length=3)
    balance: Decimal = Field(max_digits=10, decimal_places=2)
    score: Annotated[float, Field(ge=0, le=1, multiple_of=0.05)]


class UserDetail(BaseModel):
    name: str
    age: int


class IterableUserDetail(BaseModel):
    """As instructor makes it for a list of answers."""

    tasks: List[UserDetail] = Field(default_factory=list, repr=False, description="Correctly segmented list of `UserDetail` tasks")


class Step(BaseModel):
    explanation: str
    output: str


class MathReasoning(BaseModel):
    steps: list[Step]
    final_answer: str


class Query(BaseModel):
    query: str = Field(..., description="Query to search for")
    type: Literal["web", "image", "video"]
    max_results: Annotated[int, Field(gt=0, le=100)] = 10


class SearchQueries(BaseModel):
    queries: List[Query]


class Action(BaseModel):
    kind: Literal["click", "type"]
    target: str


class Wait(BaseModel):
    kind: Literal["wait"]
    seconds: PositiveInt


class Plan(BaseModel):
    actions: list[Annotated[Union[Action, Wait], Field(discriminator="kind")]]
    notes: Optional[str]


class Wrapper(RootModel[dict[str, list[int]]]):
    pass


for name, type_ in {
    "str": str, "int": int, "float": float, "bool": bool, "none": None, "any": Any, "bytes": bytes, "decimal": Decimal,
    "date": date, "datetime": datetime, "time": time, "timedelta": timedelta, "uuid": UUID, "path": Path,
    "ipv4": IPv4Address, "ipv6": IPv6Address, "email": EmailStr, "any url": AnyUrl, "http url": HttpUrl, "file url": FileUrl,
    "websocket url": WebsocketUrl, "secret": SecretStr, "json": Json, "json of": Json[list[int]], "base64": Base64Str,
    "byte size": ByteSize, "aware": AwareDatetime, "past": PastDatetime, "future date": FutureDate,
    "positive": PositiveInt, "negative": NegativeInt, "non negative": NonNegativeFloat,
    "constr": constr(pattern=r"^[a-z]+$", max_length=12), "conint": conint(ge=1, lt=10, multiple_of=3),
    "conint int64": conint(ge=-(2**63), le=2**63 - 1), "conint uint64": conint(ge=0, le=2**64 - 1),
    "annotated len": Annotated[list[int], annotated_types.Len(2, 4)], "gt lt": Annotated[float, Field(gt=0.5, lt=2)],
    "optional": Optional[int], "union": Union[int, str, None], "union of models": Union[Cat, Dog], "nested optional": Optional[List[Optional[str]]],
    "discriminated": Annotated[Union[Cat, Dog, Lizard], Field(discriminator="pet_type")],
    "literal": Literal["a", "b"], "literal one": Literal["a"], "literal mixed": Literal["a", 1, True, None],
    "enum": Color, "int enum": Level, "list": list, "list of int": list[int], "list of list": list[list[float]],
    "tuple": tuple[int, str], "tuple any": tuple[int, ...], "empty tuple": tuple[()], "set": set[str], "set of int": set[int],
    "set of enum": set[Color], "frozenset": frozenset[UUID], "bounded set": Annotated[set[int], Field(min_length=2, max_length=4)],
    "sequence": Sequence[str], "dict": dict, "dict of int": dict[str, int], "dict of enum": dict[Color, int], "dict of int keys": dict[int, str],
    "dict of pattern": dict[Annotated[str, Field(pattern="^x_")], int], "dict of uuid": dict[UUID, str],
    "dict min": Annotated[dict[str, int], Field(min_length=2)], "dict max": Annotated[dict[str, int], Field(max_length=2)],
    "dict of literal": dict[Literal["en", "de"], str], "dict of date": dict[date, float],
    "typed dict": Movie, "named tuple": Point, "owner": Owner, "node": Node, "linked list": LinkedList, "page": Page[Cat], "page of int": Page[int],
    "closed": Closed, "open": Open, "titled": Titled, "aliased": Aliased, "user": User, "customer": Customer, "wrapper": Wrapper,
    "iterable": IterableUserDetail, "math": MathReasoning, "search": SearchQueries, "plan": Plan, "list of models": list[User],
    "dict of models": dict[str, Customer], "optional model": Optional[Owner],
}.items():
    add(name, type_)

json.dump({"made with": f"pydantic {pydantic.VERSION}", "schemas": found}, sys.stdout, indent=1)
