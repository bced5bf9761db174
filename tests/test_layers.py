"""
The layers, enforced: what may import what, and which modules may have effects.

`LAYERS` reads from the top: a module may import those of the rows below its own, never those above,
and never those beside it. A folder is one module; only `bulk` has a table for what is inside it.
`ALLOWED_IMPORTERS` are the only modules that may import a package; those of `PURE` have no effects.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fanout.providers import registry
from tests.support.module_imports import imports, nodes, parsed

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "shared" / "fanout"

LAYERS = """
    __init__  __main__
    cli                                     the command line
    http  local  library                    the HTTP surface, the local model, the Python functions
    server  keys                            clients' connections | virtual keys, and their budgets
    bulk                                    jobs
    gateway                                 one request: its models, strategy, deadline
    routing  aws  google                    one model name: load balancing, retries, attempts
    transport  telemetry                    one call; log records and prices
    config                                  names to deployments
    providers  concurrency  endpoints       vendors' APIs | structure | the APIs of other endpoints
    schema                                  OpenAI's shapes
    wire  settings  disk                    bytes to values; complete files
    errors  secret                          values
"""

BULK_LAYERS = """
    aws  local                              the two hosts and their stores
    runner  tables                          a job from start to end | its rows
    steps                                   its three steps: plan, work, finish
    native                                  lines that go by their providers' own batches
    work                                    the worker and the finisher
    service                                 files and batches as clients see them
    pacing                                  rate limits, adaptive concurrency
    input                                   lines, shards, the quote
    store  costs                            protocols; prices of a line
    totals  paid_calls                      values
    activity  lanes  model_totals           what a job does at this moment; its lanes and models
"""

TOP_LEVEL = {
    "shared/fanout/*.py": "__init__ __main__ secret settings",
    "shared/fanout/page/*.js": "app",
    "functions/*.py": "__init__ engine hedges powertools",
    "infra/*.py": """
        __init__ app bedrock config context lambda_settings logs nag_suppressions prop_types props
        secrets stack variable_names
    """,
    "tests/*.py": """
        conftest test_docs test_environment test_import_cycles test_layers test_names
        test_public_api test_startup
    """,
    "shared/fanout/aws/*.py": """
        __init__ credentials dynamodb endpoints errors hedge_counts open_requests
        secrets_manager stack_keys watched_request
    """,
    "shared/fanout/bulk/*.py": """
        __init__ activity costs lanes model_totals paid_calls runner store totals
    """,
    "shared/fanout/bulk/input/*.py": """
        __init__ blanks bloom_filter csv_reader estimates file_kinds flex_lines job_source
        line_checks line_order line_parser lines order_writer planner prefixes quote
        quote_groups sampled_costs splitter text_encodings
    """,
    "shared/fanout/bulk/local/*.py": """
        __init__ activity_files batch_service checked_reuse file_store hedge_counts hosts
        input_files job_progress job_store job_tasks job_totals json_form lazy_service
        prompt_files prompt_jobs rate_limit_store response_index response_reuse result_files
        result_tables shard_results sqlite steady_clock storage_limit table_files
        table_prompts webhook_tasks
    """,
    "shared/fanout/bulk/native/*.py": """
        __init__ chosen_batches collect deadline eligibility give_up_order hedged held_lines
        input_lines job ledger merge merger numbers planned poll quoted_batches
        realtime reconcile result_parts results runner setup shared_limits split submit
    """,
    "shared/fanout/bulk/pacing/*.py": """
        __init__ adaptive_concurrency estimated_limit failing_lines fair_lock flex_lane
        limit_search limit_wait limits line_attempt line_faults line_retry load_trial long_pauses
        permit prefix_groups prefix_state prompt_caches ramp rate_limit_state rate_limiter
        steady_limits
        recent_calls rejection
    """,
    "shared/fanout/bulk/service/*.py": """
        __init__ batches deletion failed_lines file_records files host idempotency line_names
        new_job
        records registry webhook_sender webhooks
    """,
    "shared/fanout/bulk/steps/*.py": """
        __init__ accounts finishing host planning transitions working
    """,
    "shared/fanout/bulk/work/*.py": """
        __init__ call_watcher checked_lines embedding_calls embedding_groups finisher full_disk
        judge_calls line_requests line_runner line_slots manifest open_shards ordered_lines
        ordered_results partial_results permitted_calls rejections requests_of_lines result_lines
        spec stopping stored_results worker
    """,
    "shared/fanout/bulk/tables/*.py": "__init__ formats parquet responses template writers",
    "shared/fanout/concurrency/*.py": """
        __init__ fair_limiter garbage map memory_budget outcomes quorum race threaded_generator
        timeouts
    """,
    "shared/fanout/config/litellm/*.py": """
        __init__ deployment general groups keys reasons router service top
    """,
    "shared/fanout/disk/*.py": "__init__ file_lock files threads",
    "shared/fanout/endpoints/*.py": "__init__ base client_names original_bytes sealed token_counts",
    "shared/fanout/endpoints/responses/*.py": """
        __init__ content count custom_tools errors events foreign_items function_names images
        item_events items open_items original output reasoning relay request response surface tools
    """,
    "shared/fanout/endpoints/embeddings/*.py": "__init__ division request response",
    "shared/fanout/errors/*.py": "__init__ base config gateway provider",
    "shared/fanout/gateway/*.py": """
        __init__ agree_cell aliases authorization bound_requests checked_cell client_chunks
        combine conversation decisions embeddings escalation factory fallback_calls gateway
        hedge_delays interleave judge_calls judge_cell possible_votes report run streams
        timed_pace vote_count
    """,
    "shared/fanout/keys/*.py": """
        __init__ account aliases audit budgets charged_job clients current_rights
        dynamodb_store groups import_rows imports items job_rights job_rows
        jobs key_types late_settlements ledger litellm management metering opening
        postgres rate_limits secrets spend spend_rows sqlite_store sweep uncharged_lines windows
    """,
    "shared/fanout/http/key_management/*.py": """
        __init__ audit budget global_spend key requests routes selected_rows spend team user
    """,
    "shared/fanout/google/*.py": "__init__ credentials http",
    "shared/fanout/local/*.py": """
        __init__ child_process download engine install models parent_process running_engine serve
    """,
    "shared/fanout/routing/*.py": """
        __init__ authorization billing deployment_slots embedding_params embeddings error_kinds
        first_token_times flex leg
        load_balancing logged_fields model_fields retry_policy router shared_times stored_files
        stream_attempts
    """,
    "shared/fanout/schema/*.py": """
        __init__ accumulator addresses agreement allowed_tools allowed_values canonical chat
        chat_builders checked choice_deltas common_characters embeddings error extensions fallbacks
        fanout foreign_parts free_text gateway_fields json_schema judging litellm_arguments
        litellm_names messages modes one_call pass_through prompt_tokens received_text request
        response_chunks schema_words schema_work strategies text_keys token_estimate tokens
        validation value_kinds votes
    """,
    "shared/fanout/server/*.py": """
        __init__ connection connections lifespan limits listener request_parser request_queue
        served_request server
    """,
    "shared/fanout/telemetry/*.py": "__init__ known_names observers prices prometheus traces",
    "shared/fanout/transport/*.py": """
        __init__ address_rules alpn client client_engine connection_pool credentials engine
        error_bodies error_classes error_mapping expired_audio held_chunks http1_chunks http1_client
        http1_connection http1_parser http1_repair http1_socket httpx_client httpx_transport
        original_defaults pass_through premature_close public_post pyqwest_connection redaction
        request_encoding request_params socket_limit split_pairs stalled_response stream_calls
        stream_events stream_mismatch stream_reader text_events unfit_defaults
        unpacking unread_ends without_stream
    """,
    "shared/fanout/wire/*.py": """
        __init__ eventstream http json json_members json_size lenient_json sigv4 sse
        terminal_text tolerant vectors
    """,
    "functions/api/*.py": """
        __init__ __main__ app idle_threads proxy_event runtime_api runtime_loop snapshot
        streamed_response
    """,
    "functions/api/web_adapter/*.py": "__init__ __main__ app served",
    "functions/bulk/*.py": """
        __init__ events finish native plan runtime start_events webhook work
    """,
    "infra/api/*.py": """
        __init__ function gateway_responses managed_instances open_requests rest_api virtual_keys
        web_adapter
    """,
    "infra/bulk/*.py": """
        __init__ batch_role config_asset functions inbox jobs monitoring native_batches
        repeated_step state_machine state_machine_definition storage webhooks
    """,
    "infra/bundling/*.py": "__init__ bundle bytecode strip",
    "infra/monitoring/*.py": "__init__ dashboard metrics monitoring",
}
"""
The only files of these folders. At the top, any other belongs into one of the folders.

The modules of the largest folders are named in docs/architecture.md, by what they are for.
"""

MAX_FUNCTION = 57
"""Lines of a function, with its head."""

MAX_FILE = 305
"""Lines of a file of Python."""

LONG_FILES = {
    "shared/fanout/providers/rows.py": "a table: one row a vendor",
    "shared/fanout/providers/other_rows.py": "a table: one row a vendor",
    "shared/fanout/server/connection.py": "one state machine",
}
"""The files with more lines, and why."""

ROW_MODULES = "embedding_rows native_batch_rows other_rows own_servers row rows"
"""The modules of `providers/` for vendors with OpenAI's API."""

VENDOR_IMPORTS = {
    **{name: {"openai"} for name in ROW_MODULES.split()},
    "native_batch_rows": {"mistral", "openai"},
    "azure": {"openai"},
    "bedrock": {"anthropic", "cohere", "openai"},
    "mistral": {"openai"},
    "vertex_ai": {"anthropic", "gemini"},
}
"""
The vendors' folders that a folder or module of `providers/` imports; no other imports any.

Azure and Mistral have OpenAI's API. Bedrock serves models by Anthropic's API, by OpenAI's and, for
embeddings, by Cohere's; Vertex AI by Gemini's and Anthropic's.
"""

ALLOWED_IMPORTERS = {
    "pyqwest": "transport/pyqwest_connection",  # the HTTP engine for TLS and proxies
    "httpx2": "transport/httpx_client transport/httpx_transport",  # only on request
    "botocore": "aws/credentials aws/stack_keys bulk/aws/clients",
    "boto3": "aws/stack_keys bulk/aws/clients",
    "google": "google",
    "urllib3": "",
    "requests": "",
    "yaml": "config/document",
    "uvicorn": "",
    "prometheus_client": "telemetry/prometheus",  # only if the config asks for it
    "opentelemetry": "telemetry/traces",  # likewise
    "rich": "cli",
    "argparse": "cli",
    "aws_lambda_powertools": "",  # functions/ alone
    "subprocess": "local",
    "threading": "concurrency/threaded_generator google library/background_loop library/json_object"
    " bulk/local/sqlite aws/credentials"
    " local cli/local_run",
    "json": "wire/json wire/lenient_json",  # to name a duplicate key; for odd responses
    "pydantic": "library",
    "pyarrow": "bulk/tables/parquet",  # an extra
    "psycopg": "keys/postgres",  # likewise
    "jsonschema_rs": "schema/json_schema",  # only for checked requests (decision 0020)
    "logging": "telemetry/traces",  # OpenTelemetry logs with it
    "asyncio": "concurrency disk transport routing gateway library http server cli bulk aws google"
    " keys",
}

PURE = """
    bulk/input/blanks  bulk/input/bloom_filter  bulk/input/csv_reader  bulk/input/file_kinds
    bulk/input/job_source  bulk/input/line_parser  bulk/input/lines  bulk/tables
    bulk/input/planner  bulk/input/splitter  bulk/input/text_encodings
    bulk/pacing/adaptive_concurrency  bulk/pacing/limits
    bulk/activity  bulk/aws/job_changes  bulk/model_totals  bulk/paid_calls
    bulk/service/file_records
    bulk/service/records  bulk/totals
    config/catalog  config/connection  config/deployment  config/edits  config/entries
    config/fields  config/google  config/litellm  config/model  config/resolve  config/routes
    config/unknown_keys  errors
    gateway/combine  gateway/escalation  gateway/interleave  gateway/report
    keys/account  keys/items  keys/litellm  keys/metering  keys/rate_limits  keys/uncharged_lines
    keys/windows
    library/attribute_dict  library/chunk_builder  library/errors  library/exact_fit
    library/inputs  library/option_checks  library/options
    library/chunk_types  library/parsed_types  library/structured_output  library/types
    providers
    routing/billing  routing/leg  routing/logged_fields  routing/retry_policy  schema  secret
    telemetry/observers
    server/limits  server/request_parser
    transport/error_bodies  transport/error_mapping  transport/premature_close
    transport/redaction  transport/stream_mismatch  wire
"""
EFFECTS = "asyncio os pathlib random secrets socket ssl subprocess tempfile threading time"


def named(path: Path) -> str:
    """`transport/engine` of `…/transport/engine.py`, `http` of `…/http/__init__.py`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "/".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def ranks(table: str) -> dict[str, int]:
    """The row of each name, counted from the bottom; three spaces begin a row's description."""
    rows = [re.split(r" {3,}", line.strip())[0].split() for line in table.strip().splitlines()]
    return {name: rank for rank, row in enumerate(reversed(rows)) for name in row}


RANK = ranks(LAYERS)
BULK_RANK = ranks(BULK_LAYERS)
FILES = {named(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: parsed(path) for name, path in FILES.items()}
IMPORTS = {
    name: set(imports(tree, FILES[name].relative_to(PACKAGE.parent).parent.parts))
    for name, tree in TREES.items()
}


def is_in(name: str, places: str) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places.split())


def upward(rank: dict[str, int], depth: int) -> list[str]:
    """Imports that do not go down, between the names that stand `depth` folders deep."""
    found = []
    for name, imported in IMPORTS.items():
        own = part(f"fanout.{name.replace('/', '.')}", depth)
        known = {part(one, depth) for one in imported if one.startswith("fanout.")} & rank.keys()
        if own in rank:
            found += [f"{name} imports {one}" for one in known - {own} if rank[one] >= rank[own]]
    return found


def part(dotted: str, depth: int) -> str:
    """`transport` of `fanout.transport.client` at depth 0; below that, of `bulk` alone."""
    parts = dotted.split(".")[1:]
    if depth and parts[:depth] != ["bulk"]:
        return ""
    return parts[depth] if len(parts) > depth else ""


def test_every_module_has_its_row() -> None:
    assert [name for name in FILES if name.split("/")[0] not in RANK] == []
    inner = [name.split("/")[1] for name in FILES if name.startswith("bulk/")]
    assert set(inner) <= BULK_RANK.keys()


def test_no_folder_has_a_file_that_its_table_does_not_name() -> None:
    files = {pattern: sorted(path.stem for path in ROOT.glob(pattern)) for pattern in TOP_LEVEL}
    assert files == {pattern: sorted(names.split()) for pattern, names in TOP_LEVEL.items()}


def documented() -> dict[str, list[str]]:
    """The modules of each folder in the table "Inside the large folders" of architecture.md."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    found: dict[str, list[str]] = {}
    folder = ""
    for line in page.partition("## Inside the large folders")[2].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("## "):
            break
        if len(cells) == 5 and "`" in cells[3]:
            folder = cells[1].strip("`") or folder
            found.setdefault(folder, []).extend(re.findall(r"`(\w+)`", cells[3]))
    return found


def test_the_docs_name_each_module_of_the_large_folders_once() -> None:
    table = documented()
    files = {
        folder: sorted(path.stem for path in (PACKAGE / folder).glob("*.py")) for folder in table
    }
    assert files == {folder: sorted(["__init__", *names]) for folder, names in table.items()}


def test_every_folder_of_modules_has_a_table() -> None:
    folders = {
        str(path.parent.relative_to(ROOT))
        for top in ("shared/fanout", "functions", "infra")
        for path in (ROOT / top).rglob("*.py")
    }
    named = {pattern.rpartition("/")[0] for pattern in TOP_LEVEL}
    named |= {f"shared/fanout/{folder}" for folder in documented()}
    # A provider's folder is all its own, and so is an endpoint's.
    own = ("shared/fanout/providers/", "shared/fanout/endpoints/")
    assert {name for name in folders - named if not name.startswith(own)} == set()


def test_no_function_is_too_long_for_one_screen() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {node.name}"
        for top in ("shared", "functions", "infra", "scripts")
        for path in (ROOT / top).rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION
    ] == []


def test_no_file_is_too_long_but_tables_and_a_state_machine() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text().count("\n")
        for top in ("shared", "functions", "infra", "scripts")
        for path in (ROOT / top).rglob("*.py")
    }
    assert {name for name, lines in lengths.items() if lines > MAX_FILE} <= LONG_FILES.keys()


def test_imports_only_go_down() -> None:
    assert upward(RANK, 0) == []


def test_imports_inside_bulk_only_go_down() -> None:
    assert upward(BULK_RANK, 1) == []


def test_a_package_with_effects_is_imported_only_where_it_may_be() -> None:
    packages = {name: {one.split(".")[0] for one in found} for name, found in IMPORTS.items()}
    assert [
        f"{name} imports {package}"
        for name, found in packages.items()
        for package in found & ALLOWED_IMPORTERS.keys()
        if not is_in(name, ALLOWED_IMPORTERS[package])
    ] == []


def test_pure_modules_import_nothing_with_effects() -> None:
    packages = {name: {one.split(".")[0] for one in found} for name, found in IMPORTS.items()}
    assert [
        f"{name} imports {package}"
        for name, found in packages.items()
        if is_in(name, PURE)
        for package in found & set(EFFECTS.split())
    ] == []


def test_the_environment_is_read_in_one_place() -> None:
    words = {"environ", "environb", "getenv"}
    readers = {
        name
        for name, path in FILES.items()
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in words
    }
    assert readers == {"settings"}


def test_only_the_registry_knows_the_providers_folders() -> None:
    assert [
        f"{name} imports {one}"
        for name, found in IMPORTS.items()
        for one in found
        if one.startswith("fanout.providers.") and not name.startswith("providers/")
        if one.split(".")[2]
        not in {
            "base",
            "embeddings",
            "error_rules",
            "field_checks",
            "fields",
            "general_errors",
            "native_batch",
            "native_batch_data",
            "rate_limits",
            "registry",
        }
    ] == []


def test_a_vendors_folder_imports_only_the_vendors_whose_api_it_has() -> None:
    vendors = {path.parent.name for path in (PACKAGE / "providers").glob("*/__init__.py")}
    found: dict[str, set[str]] = {}
    for name, imported in IMPORTS.items():
        if name.startswith("providers/"):
            own = name.split("/")[1]
            known = {one.split(".")[2] for one in imported if one.startswith("fanout.providers.")}
            found.setdefault(own, set()).update(known & vendors - {own})
    assert {own: others for own, others in found.items() if others} == VENDOR_IMPORTS


def test_the_config_names_no_provider_but_the_one_for_any_server() -> None:
    """The keys of LiteLLM's reference in `config/litellm/` name providers."""
    named = re.compile(rf"\b({'|'.join({*registry.FOLDERS, 'claude'} - {'openai'})})(/|$)")
    assert [
        f"{name}: {value.value!r}"
        for name, tree in TREES.items()
        if name.startswith("config/") and not name.startswith("config/litellm/")
        for node in ast.walk(tree)
        if not isinstance(node, ast.Expr)  # a docstring
        for value in ast.iter_child_nodes(node)
        if isinstance(value, ast.Constant) and named.search(str(value.value))
    ] == []


def test_the_infrastructure_knows_nothing_of_the_code_it_deploys() -> None:
    found = {
        name.split(".")[0]
        for path in (ROOT / "infra").rglob("*.py")
        for name in imports(parsed(path), ["infra"])
    }
    assert found & {"fanout", "functions"} == set()


def test_the_tables_name_only_what_there_is() -> None:
    places = {
        *" ".join(ALLOWED_IMPORTERS.values()).split(),
        *PURE.split(),
        *RANK,
        *(f"bulk/{name}" for name in BULK_RANK),
    }
    assert [place for place in places if not any(is_in(name, place) for name in FILES)] == []
