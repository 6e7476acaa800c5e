"""The gateway's tables; amounts are in rao, times in seconds since 1970."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("budget", BigInteger),  # None: unlimited
    Column("spent", BigInteger, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("models", Text),  # JSON list; None: all
    Column("max_price", BigInteger),  # rao per million tokens that a miner may ask; None: any
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created", Float, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("key_id", String(32), ForeignKey("api_keys.id"), nullable=False),
    Column("idempotency", String(255)),
    Column("digest", LargeBinary(32), nullable=False),
    Column("state", String(8), nullable=False),  # open, done, failed
    Column("model", String(200), nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("prompt_tokens", Integer, nullable=False, default=0),
    Column("completion_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer),  # of the prompt's, in the miner's cache
    Column("cost", BigInteger, nullable=False, default=0),
    Column("response", LargeBinary),
    Column("created", Float, nullable=False),
    UniqueConstraint("key_id", "idempotency"),
    Index("requests_open", "state", "created"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("request_id", String(64), ForeignKey("requests.id"), primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("netuid", Integer, nullable=False),
    Column("uid", Integer, nullable=False),
    Column("miner", String(64), nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("signed", Text),  # JSON as on the wire; None: the miner failed before signing
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("netuid", Integer, nullable=False),
    Column("miner", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),  # JSON: tokens, text, usage, receipt
    Column("total_ms", Integer, nullable=False),
    Column("judged", Boolean, nullable=False, default=False),
    Index("samples_judged", "judged"),
)

channels = Table(  # which channel pays a miner, found or opened once for all gateways
    "channels",
    metadata,
    Column("genesis", LargeBinary(32), primary_key=True),
    Column("miner", String(64), primary_key=True),
    Column("channel", BigInteger),  # None: somebody is opening it
    Column("busy", Float, nullable=False),  # since when somebody opens or changes it; 0: nobody
)

lanes = Table(  # what each lane has promised; a lane has one owner at a time
    "lanes",
    metadata,
    Column("genesis", LargeBinary(32), primary_key=True),
    Column("channel", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(32)),  # None: free
    Column("beat", Float, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("cumulative", BigInteger, nullable=False),
    Column("answers", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),  # of the tree of answers, 32 bytes each
)

paid_answers = Table(  # the leaves of that tree
    "paid_answers",
    metadata,
    Column("genesis", LargeBinary(32), primary_key=True),
    Column("channel", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("answer", LargeBinary, nullable=False),
)
