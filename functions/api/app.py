"""The app with AWS's parts: keys from Secrets Manager, logs by Powertools, a deadline."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from fanout.aws.credentials import AWSSigner
from fanout.aws.open_requests import open_requests_table
from fanout.aws.secrets_manager import SecretsLocation, SecretsManager
from fanout.bulk.aws.lazy_service import open_stack
from fanout.config.catalog import Catalog
from fanout.gateway.factory import load_catalog, open_gateway
from fanout.http.app import App
from fanout.http.lambda_lifecycle import LambdaLifecycle, lambda_deadline, received_at
from fanout.settings import Settings
from functions.engine import make_lambda_engine
from functions.hedges import LambdaHedges
from functions.powertools import PowertoolsObserver

if TYPE_CHECKING:
    from fanout.keys.ledger import KeyLedger

MARGIN = 2.0
"""Seconds before the invocation's end at which the gateway responds with a 504."""

IDLE_TIMEOUT = 290.0
"""
Seconds until the first byte of a response.

API Gateway closes a regional API's silent stream after 300:
https://docs.aws.amazon.com/apigateway/latest/developerguide/response-transfer-mode.html (2026-11).
"""

settings = Settings.read()
concurrency = int(settings.env.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))
"""Requests that Lambda sends to this process at the same time; on Managed Instances many."""

catalog = load_catalog(settings)
engine = make_lambda_engine(catalog.general, is_frozen=concurrency == 1)
location = SecretsLocation.from_env(settings.env, settings.env["FANOUT_SECRET_PREFIX"])
signer = AWSSigner(settings.env)
secrets = SecretsManager(engine, signer, location, catalog.secret_names, rng=random.random)
observer = PowertoolsObserver(settings.env["FANOUT_SERVICE"])
hedges = LambdaHedges(settings.env, engine, signer, observer.unexpected_error)


def open_keys(catalog: Catalog) -> KeyLedger:
    """The virtual keys of the stack; imported when a client sends a key that is none of ours."""
    from fanout.keys.opening import open_table

    ledger = open_table(settings.env, engine, signer, catalog)
    ledger.on_soft_budget = observer.soft_budget
    return ledger


app = LambdaLifecycle(
    App(
        lambda: open_gateway(
            settings,
            catalog=catalog,
            engine=engine,
            secrets=secrets,
            observer=observer,
            share_times=hedges.share_times,
        ),
        observer=observer,
        keys=secrets,
        deadline=lambda_deadline(MARGIN),
        capacity=concurrency if concurrency > 1 else None,  # one at a time is Lambda's own limit
        host_idle_timeout=IDLE_TIMEOUT,
        others=open_requests_table(settings.env, engine, signer, observer.unexpected_error),
        received=received_at,
        jobs=(lambda _: open_stack(settings.env)) if "FANOUT_MACHINE" in settings.env else None,
        virtual_keys=open_keys if "FANOUT_KEYS_TABLE" in settings.env else None,
    ),
    secrets.renewing,
    settings.env.get("FANOUT_CORS"),
    after_response=hedges.share_if_due,
)
