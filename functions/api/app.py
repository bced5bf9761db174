"""The app with AWS's parts: keys from Secrets Manager, logs by Powertools, a deadline."""

from __future__ import annotations

import random

from fanout.aws.credentials import AWSSigner
from fanout.aws.secrets_manager import SecretsLocation, SecretsManager
from fanout.bulk.aws.lazy_service import open_stack
from fanout.gateway.factory import load_catalog, make_engine, open_gateway
from fanout.http.app import App
from fanout.http.lambda_lifecycle import LambdaLifecycle, lambda_deadline
from fanout.settings import Settings
from functions.powertools import PowertoolsObserver

MARGIN = 2.0
"""Seconds before the invocation's end at which the gateway responds with a 504."""

settings = Settings.read()
catalog = load_catalog(settings)
engine = make_engine(catalog.general)
location = SecretsLocation.from_env(settings.env, settings.env["FANOUT_SECRET_PREFIX"])
signer = AWSSigner(settings.env)
secrets = SecretsManager(engine, signer, location, catalog.secret_names, rng=random.random)
observer = PowertoolsObserver(settings.env["FANOUT_SERVICE"])

app = LambdaLifecycle(
    App(
        lambda: open_gateway(
            settings, catalog=catalog, engine=engine, secrets=secrets, observer=observer
        ),
        observer=observer,
        keys=secrets,
        deadline=lambda_deadline(MARGIN),
        jobs=(lambda _: open_stack(settings.env)) if "FANOUT_MACHINE" in settings.env else None,
    ),
    secrets.renewing,
    settings.env.get("FANOUT_CORS"),
)
