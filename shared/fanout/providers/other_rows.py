"""
More OpenAI-compatible vendors and servers, under LiteLLM's names: an address and a key, one a line.

They get what any OpenAI-compatible server gets, vendors without the fields that others have made. A
vendor with more rules of its own has a row in `rows.py`. Names, addresses and keys are those of
LiteLLM (`get_llm_provider_logic.py`, `constants.py` and `openai_like/providers.json` in
github.com/BerriAI/litellm, read in November 2026); where a line names a page, they were compared
with it. Loaded only for these names.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from .fields import VENDORS_FIELDS
from .openai.message_rules import OTHER_SERVERS, OTHER_VENDORS, MessageRules
from .openai.rules import (
    FAMILIES,
    OLD_LIMIT,
    Family,
    ForcedCalls,
    FormatRules,
    PlainFields,
    ThinkingTypes,
)
from .row import EFFORT, NO_BUDGET, THINKING_OFF, Row
from .rows import ROWS

_VENDORS = """
abliteration       https://api.abliteration.ai/v1                          ABLITERATION_API_KEY
ai21               https://api.ai21.com/studio/v1                          AI21_API_KEY
ai21_chat          https://api.ai21.com/studio/v1                          AI21_API_KEY
anyscale           https://api.endpoints.anyscale.com/v1                   ANYSCALE_API_KEY
charity_engine     https://api.charityengine.services/remotejobs/v2/inference  CHARITY_ENGINE_API_KEY
chutes             https://llm.chutes.ai/v1                                CHUTES_API_KEY
compactifai        https://api.compactif.ai/v1                             COMPACTIFAI_API_KEY
crusoe             https://managed-inference-api-proxy.crusoecloud.com/v1  CRUSOE_API_KEY
dashscope          https://dashscope-intl.aliyuncs.com/compatible-mode/v1  DASHSCOPE_API_KEY
deepinfra          https://api.deepinfra.com/v1/openai                     DEEPINFRA_API_KEY
empower            https://app.empower.dev/api/v1                          EMPOWER_API_KEY
featherless_ai     https://api.featherless.ai/v1                           FEATHERLESS_AI_API_KEY
friendliai         https://api.friendli.ai/serverless/v1                   FRIENDLIAI_API_KEY FRIENDLI_TOKEN
galadriel          https://api.galadriel.com/v1                            GALADRIEL_API_KEY
github             https://models.github.ai/inference                      GITHUB_API_KEY GITHUB_TOKEN
gmi                https://api.gmi-serving.com/v1                          GMI_API_KEY
huggingface        https://router.huggingface.co/v1                        HF_TOKEN HUGGINGFACE_API_KEY
hyperbolic         https://api.hyperbolic.xyz/v1                           HYPERBOLIC_API_KEY
lambda_ai          https://api.lambda.ai/v1                                LAMBDA_API_KEY
llamagate          https://api.llamagate.dev/v1                            LLAMAGATE_API_KEY
meta_llama         https://api.llama.com/compat/v1                         LLAMA_API_KEY
minimax            https://api.minimax.io/v1                               MINIMAX_API_KEY
moonshot           https://api.moonshot.ai/v1                              MOONSHOT_API_KEY
morph              https://api.morphllm.com/v1                             MORPH_API_KEY
nebius             https://api.studio.nebius.ai/v1                         NEBIUS_API_KEY
novita             https://api.novita.ai/v3/openai                         NOVITA_API_KEY
nscale             https://inference.api.nscale.com/v1                     NSCALE_API_KEY
nvidia_nim         https://integrate.api.nvidia.com/v1                     NVIDIA_NIM_API_KEY NVIDIA_API_KEY
ovhcloud           https://oai.endpoints.kepler.ai.cloud.ovh.net/v1        OVHCLOUD_API_KEY
publicai           https://api.publicai.co/v1                              PUBLICAI_API_KEY
salad_cloud        https://ai.salad.cloud/v1                               SALAD_CLOUD_API_KEY
sambanova          https://api.sambanova.ai/v1                             SAMBANOVA_API_KEY
sarvam             https://api.sarvam.ai/v1                                SARVAM_API_KEY
scaleway           https://api.scaleway.ai/v1                              SCW_SECRET_KEY
synthetic          https://api.synthetic.new/openai/v1                     SYNTHETIC_API_KEY
v0                 https://api.v0.dev/v1                                   V0_API_KEY
volcengine         https://ark.cn-beijing.volces.com/api/v3                VOLCENGINE_API_KEY ARK_API_KEY
voyage             https://api.voyageai.com/v1                             VOYAGE_API_KEY VOYAGE_API_TOKEN
wandb              https://api.inference.wandb.ai/v1                       WANDB_API_KEY
xiaomi_mimo        https://api.xiaomimimo.com/v1                           XIAOMI_MIMO_API_KEY
zai                https://api.z.ai/api/paas/v4                            ZAI_API_KEY
"""  # noqa: E501
# github: docs.github.com/github-models, whose names have a publisher (`github/openai/gpt-4o`).
# huggingface: huggingface.co/docs/inference-providers. nvidia_nim: ai-sdk.dev/providers/
# openai-compatible-providers/nim and build.nvidia.com. zai: docs.z.ai. helicone: docs.helicone.ai/
# rest/ai-gateway/post-v1-chat-completions. minimax: platform.minimax.io/docs. 2026-11

_GATEWAYS = """
aihubmix           https://aihubmix.com/v1           AIHUBMIX_API_KEY
aiml               https://api.aimlapi.com/v1        AIML_API_KEY
apertis            https://api.stima.tech/v1         STIMA_API_KEY
cometapi           https://api.cometapi.com/v1       COMETAPI_KEY COMETAPI_API_KEY
helicone           https://ai-gateway.helicone.ai/v1 HELICONE_API_KEY
nano-gpt           https://nano-gpt.com/api/v1       NANOGPT_API_KEY
poe                https://api.poe.com/v1            POE_API_KEY
veniceai           https://api.venice.ai/api/v1      VENICE_AI_API_KEY
vercel_ai_gateway  https://ai-gateway.vercel.sh/v1   VERCEL_AI_GATEWAY_API_KEY AI_GATEWAY_API_KEY
"""
"""They call models of several vendors, among them Google's, and get the fields of all."""

_SERVERS = """
docker_model_runner  {api_base}                 DOCKER_MODEL_RUNNER_API_KEY
lemonade             http://127.0.0.1:8000/api/v1  LEMONADE_API_KEY
litellm_proxy        {api_base}                 LITELLM_PROXY_API_KEY
llamafile            http://127.0.0.1:8080/v1   LLAMAFILE_API_KEY
lm_studio            http://127.0.0.1:1234/v1   LM_STUDIO_API_KEY
oobabooga            {api_base}                 OOBABOOGA_API_KEY
xinference           http://127.0.0.1:9997/v1   XINFERENCE_API_KEY
"""
"""Servers that people run themselves, which need no key. lmstudio.ai/docs/api has port 1234."""

OTHER_APIS: Mapping[str, str] = {
    "amazon_nova": "write `bedrock/amazon.nova-…`",
    "anthropic_text": "write `anthropic/MODEL`",
    "azure_ai": "write `azure/DEPLOYMENT` with the address of the resource, or `openai_like/MODEL` "
    "with one that ends with `/v1`",
    "azure_anthropic": "write `anthropic/DEPLOYMENT`, and the address that ends with `/anthropic` "
    "as `api_base`",
    "azure_text": "write `azure/DEPLOYMENT`",
    "baseten": "write `openai_like/MODEL` with the address that Baseten shows for OpenAI's SDK",
    "bedrock_mantle": "write `bedrock/MODEL`, or `openai_like/MODEL` and "
    "`api_base: https://bedrock-mantle.REGION.api.aws/v1`",
    "chatgpt": "there is no login with a subscription: write `openai/MODEL` with an API key",
    "clarifai": "write `openai_like/MODEL` and `api_base: https://api.clarifai.com/v2/ext/openai/v1`",
    "cloudflare": "write `openai_like/MODEL` and "
    "`api_base: https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1`",
    "databricks": "write `openai_like/MODEL` and `api_base: https://HOST/serving-endpoints`",
    "github_copilot": "there is no login with a subscription: use another provider",
    "manus": "it has only the Responses API, which is not here: use another provider",
    "snowflake": "write `openai_like/MODEL` and "
    "`api_base: https://ACCOUNT.snowflakecomputing.com/api/v2/cortex/v1`",
    "text-completion-codestral": "write `codestral/MODEL`",
    "text-completion-openai": "there are no text completions: write `openai/MODEL`",
    "vertex_ai_beta": "write `vertex_ai/MODEL`",
    **dict.fromkeys(
        (
            *("aleph_alpha", "bytez", "custom", "datarobot", "gigachat", "gradient_ai", "heroku"),
            *("langgraph", "maritalk", "nlp_cloud", "oci", "palm", "petals", "predibase"),
            *("ragflow", "replicate", "sagemaker", "sagemaker_chat", "sagemaker_nova", "sap"),
            *("triton",),
            *("watsonx", "watsonx_text"),
        ),
        "it is not supported; if it has an OpenAI-compatible address, write `openai_like/MODEL` "
        "with that as `api_base`",
    ),
    **dict.fromkeys(
        ("auto_router", "adaptive_router", "complexity_router", "quality_router"),
        "there are no routers that read the prompt: write the model itself",
    ),
    **dict.fromkeys(
        ("bitbucket", "dotprompt", "gitlab", "humanloop", "langfuse"),
        "prompts are sent as messages, not kept elsewhere: write the model itself",
    ),
    **dict.fromkeys(
        (
            *("assemblyai", "aws_polly", "black_forest_labs", "deepgram", "elevenlabs", "fal_ai"),
            *("infinity", "jina_ai", "recraft", "runwayml", "stability", "topaz"),
        ),
        "it is not for chat, and there is no other API here: remove the entry",
    ),
}
"""LiteLLM's providers that speak another API, and what to do instead."""


def _rows(
    table: str, *, key_optional: bool = False, messages: MessageRules = OTHER_SERVERS
) -> dict[str, Row]:
    found = {}
    for line in table.strip().split("\n"):
        name, base, key, *more = line.split()
        found[name] = Row(
            name,
            base,
            key,
            rename=OLD_LIMIT,
            key_optional=key_optional,
            messages=messages,
            own=VENDORS_FIELDS,
            other_keys=tuple(more),
        )
    return found


def _with_inference_provider(model: str, is_own_address: bool) -> str:  # noqa: FBT001
    """
    `together/deepseek-ai/DeepSeek-R1` -> `deepseek-ai/DeepSeek-R1:together`.

    LiteLLM writes the inference provider before the model, Hugging Face after it: docs.litellm.ai/
    docs/providers/huggingface and huggingface.co/docs/inference-providers, 2026-11.
    """
    parts = model.split("/")
    if not is_own_address or len(parts) != 3 or ":" in model:  # noqa: PLR2004
        return model
    return f"{parts[1]}/{parts[2]}:{parts[0]}"


_OTHERS = {
    **_rows(_VENDORS, messages=OTHER_VENDORS),
    **_rows(_GATEWAYS),
    **_rows(_SERVERS, key_optional=True),
}

OTHER_ROWS: Mapping[str, Row] = {
    **_OTHERS,
    "huggingface": replace(_OTHERS["huggingface"], rename_model=_with_inference_provider),
    "dashscope": replace(
        _OTHERS["dashscope"],
        # Its own service: the template of the open models is not known to reject anything there.
        messages=replace(OTHER_VENDORS, one_system=""),
        # "parameter.enable_thinking must be set to false for non-streaming calls", of the open
        # models that also think: github.com/QuantumNous/new-api/pull/1109, coze-dev/coze-studio/
        # issues/324, 2026-11
        plain=(PlainFields(r"qwen3-(?:[\d.]+b|30b-a3b|235b-a22b)$", {"enable_thinking": False}),),
        # "The tool_choice parameter does not support being set to required or object in thinking
        # mode": github.com/cloudwego/eino/issues/994, can1357/oh-my-pi/issues/886, 2026-11
        forced=(
            ForcedCalls(
                r"qwen3(?:\.[5-9]|-(?:[\d.]+b|30b-a3b|235b-a22b)$)", {"enable_thinking": False}
            ),
        ),
    ),
    # It serves OpenAI's models with OpenAI's own errors: github.com/tak-bro/aicommit2/issues/162,
    # heshengtao/super-agent-party/issues/384, 2026-11
    "github": replace(_OTHERS["github"], families=FAMILIES),
    "lm_studio": replace(
        _OTHERS["lm_studio"],
        # "'response_format.type' must be 'json_schema' or 'text'": github.com/lmstudio-ai/
        # lmstudio-bug-tracker/issues/189, lfnovo/esperanto/issues/46, 2026-11
        formats=FormatRules(json_mode=False),
        # "Invalid tool_choice type: 'object'. Supported string values: none, auto, required":
        # github.com/lmstudio-ai/lmstudio-bug-tracker/issues/670, 2026-11
        named_choice=False,
        # "invalid 'messages' in payload", of the parts of a tool's result:
        # github.com/NousResearch/hermes-agent/pull/95229, 2026-11
        messages=replace(OTHER_SERVERS, one_text=True, media_results=False),
    ),
    # "invalid params, invalid chat setting (2013)", of two system messages, and "chat content has
    # invalid message role: system", of a late one: github.com/MiniMax-AI/MiniMax-M2/issues/51,
    # can1357/oh-my-pi/pull/954, BigPizzaV3/CodexPlusPlus/issues/267, 2026-11
    "minimax": replace(
        _OTHERS["minimax"],
        # It makes `reasoning_details` itself, and wants them back: platform.minimax.io/docs/guides/
        # text-m2-function-call, 2026-12
        messages=replace(
            OTHER_VENDORS,
            fields=OTHER_VENDORS.fields | {"reasoning_details"},
            late_system=False,
            many_systems=False,
        ),
        # "invalid thinking.type: "enabled" (allowed: adaptive, disabled)": github.com/CherryHQ/
        # cherry-studio/issues/16431; older models have `enabled`: …/pull/15991. 2026-11
        thinking=(ThinkingTypes(r"(?i)minimax-m[3-9]", {"enabled": "adaptive"}), *NO_BUDGET),
    ),
    "moonshot": replace(
        _OTHERS["moonshot"],
        messages=replace(
            OTHER_VENDORS,
            # Calls of `$web_search` are sent back as they came: platform.moonshot.ai/docs/guide/
            # use-web-search, 2026-11
            builtin_calls=frozenset({"builtin_function"}),
            # "the message at position 2 with role 'assistant' must not be empty":
            # github.com/AstrBotDevs/AstrBot/pull/7202, router-for-me/CLIProxyAPI/issues/1730; K3,
            # also beside calls: anomalyco/opencode/issues/39451. 2026-11
            empty=False,
            empty_beside_calls=False,
            empty_texts=False,
        ),
        schemas="typed",
        # "invalid temperature: only 1 is allowed for this model": github.com/HKUDS/nanobot/pull/
        # 4967, NousResearch/hermes-agent/pull/12668; the other fields: platform.moonshot.ai/docs/
        # guide/kimi-k2-5-quickstart, 2026-11
        families=(
            Family(
                "Kimi K2.5 and later",
                r"kimi-k(?:2\.[5-9]|[3-9])",
                frozenset({"frequency_penalty", "n", "presence_penalty", "temperature", "top_p"}),
                fixed=(("temperature", 0.6), ("top_p", 0.95)),  # 0.6 without thinking
            ),
            # It has efforts instead: platform.kimi.ai/docs/guide/kimi-k3-quickstart, 2026-11
            Family("Kimi K3", r"kimi-k[3-9]", frozenset({"thinking"})),
            # platform.kimi.ai/docs/guide/use-reasoning-effort, as theopenco/llmgateway/pull/3378
            # quotes it, 2026-11
            Family(
                "Kimi K3 with anything but `low`, `high` and `max`",
                r"kimi-k[3-9]",
                EFFORT,
                frozenset({None, "low", "high", "max"}),
            ),
        ),
        thinking=(ThinkingTypes(r"kimi-k2", {"enabled": "enabled"}),),  # the same guide
        # "tool_choice 'required' is incompatible with thinking enabled", but for K3: github.com/
        # can1357/oh-my-pi/issues/1077, UKGovernmentBEIS/inspect_ai/pull/5152, 2026-11
        forced=(ForcedCalls(r"kimi-k2\.[5-9]", THINKING_OFF),),
        # "tool_choice 'specified' is incompatible with thinking enabled", also of K3:
        # github.com/enricoros/big-AGI/issues/1161, 2026-11
        named_choice=False,
    ),
    # "body -> frequency_penalty: Extra inputs are not permitted", also of 0, and so for `n: 1`,
    # `presence_penalty` and `prompt_cache_key`: github.com/Kilo-Org/kilocode/issues/9652,
    # NVIDIA/garak/issues/748, sipeed/picoclaw/issues/1019, 2026-11
    "nvidia_nim": replace(
        _OTHERS["nvidia_nim"],
        closed=True,
        # "Message content as a list is only supported for user messages": github.com/
        # earendil-works/pi/pull/1574, 2026-11
        messages=replace(OTHER_VENDORS, one_text=True),
    ),
    "litellm_proxy": replace(
        _OTHERS["litellm_proxy"],
        budgets=True,  # LiteLLM's own field
        # docs.litellm.ai/docs/completion/document_understanding, 2026-11
        # A gateway knows which of its models made encrypted reasoning.
        messages=replace(OTHER_SERVERS, addresses="file_id", sealed=True),
    ),
    # "missing `messages.content` parameter": github.com/AstrBotDevs/AstrBot/issues/6852, 2026-11
    # `thinking` has a `type` only: docs.byteplus.com/docs/Byteplus_LAS/Chat_API, 2026-11
    "volcengine": replace(
        _OTHERS["volcengine"], messages=replace(OTHER_VENDORS, empty=False), thinking=NO_BUDGET
    ),
    "xiaomi_mimo": replace(
        _OTHERS["xiaomi_mimo"],
        # mimo.mi.com/docs/zh-CN/quick-start/usage-guide/other/deep-thinking, 2026-11
        thinking=NO_BUDGET,
        # "`text` is not set", of null beside calls and of a result that is not one text:
        # github.com/XiaomiMiMo/MiMo-V2-Flash/issues/8, XiaomiMiMo/MiMo/issues/44, 2026-11
        messages=replace(
            OTHER_VENDORS, empty=False, media_results=False, no_content=" ", one_text=True
        ),
    ),
    "zai": replace(
        _OTHERS["zai"],
        thinking=NO_BUDGET,  # docs.z.ai/guides/capabilities/thinking-mode, 2026-11
        # "Tool choice must be auto": github.com/vectorize-io/hindsight/issues/4246, 2026-11
        drop=frozenset({"tool_choice"}),
        # "The temperature parameter is illegal", of one over 1, for each model: github.com/
        # theopenco/llmgateway/pull/3268, which tried them, 2026-11
        most={"temperature": 1},
        # "messages[2].content[1].text: cannot be empty": github.com/zed-industries/zed/issues/37751
        messages=replace(OTHER_VENDORS, empty_texts=False),
    ),
    # Mistral's model for code, at its own address and with its own key: docs.mistral.ai, 2026-11
    "codestral": replace(
        ROWS["mistral"],
        name="codestral",
        base_url="https://codestral.mistral.ai/v1",
        key="CODESTRAL_API_KEY",
    ),
}
