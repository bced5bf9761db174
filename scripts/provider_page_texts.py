"""The texts of docs/providers.md that are not generated."""

from __future__ import annotations

HEAD = """# Providers

This page lists the providers, how to write their models, and which keys they need. For example,
`groq/llama-3.3-70b-versatile` is a model of Groq, and `GROQ_API_KEY` holds its key. `make docs`
generates the page from the code.

* **Model**: `prefix/model`. You can leave the prefix out if the name begins like one vendor's names
  (`gpt-4o`, `claude-…`).
* **Key**: `api_key` in the config, else the first environment variable below that is set.
* **Base URL**: `api_base` in the config, else the environment variable `PROVIDER_API_BASE` (such as
  `GROQ_API_BASE`), else the one below.

Every codec is tested against golden files. The vendors' SDKs check those of OpenAI, Anthropic,
Cohere, Gemini and Vertex AI, and botocore checks those of Bedrock. No paid provider has been
called.
"""


CUT = """## Billing of cancelled streams

Fanout cancels the losers of a race by closing their streams. Some providers then stop generating
and billing, others continue. The report of the race gives this as `billing`: `stops`, `continues`
or `unknown`. The source is [OpenRouter's list](https://openrouter.ai/docs/api-reference/streaming)
of the vendors behind it. The vendors themselves promise nothing, and we have not compared the list
with a bill. Your own server bills nothing; that it stops computing is tested only with `local`.
"""


ROWS_HEAD = """## OpenAI-compatible providers: unsupported fields

These providers do not support some of OpenAI's fields, and have other names for some. All other
fields are sent unchanged.

"""


DROPPED = """## What `drop_params` leaves out

If a request has something that the provider or the model does not support, Fanout responds with a
400 that names the field. With `drop_params: true`, it leaves out sampling, effort, penalties,
`logprobs`, service tiers, `stop` where a model takes none, and other parameters, and logs their
names.

It never drops parameters that change the response's meaning. Fanout rejects them with a 400 in any
case: remove the parameter, or call a model that supports it.

"""


MEANING = """* parts of messages (attachments) and earlier calls
* more stop sequences than the provider takes: the response would go on where it should stop
"""


ALWAYS = """
A field that has its default value, or that never changes a response (`user`, `metadata`, `store`,
…), is always left out where it is not supported.
"""


ADAPTED = """## Messages of earlier turns

A conversation may move from one provider to another: in a race, in a fallback, or because the
client asks for another model. Responses of one provider have fields and ids that another rejects.
So Fanout makes earlier messages fit the provider that gets them, without `drop_params`:

* Reasoning, citations, annotations and other fields of responses are sent only to providers whose
  API has them. Reasoning that must be sent back unchanged (Anthropic's and Bedrock's
  `thinking_blocks`, Gemini's `extra_content`) reaches that provider again, also through a gateway.
* Ids of tool calls are replaced where they do not fit. A call and its results keep the same id, and
  the same id is replaced by the same one each time, so prompt caches hold.
* A called function's name gets `_` for each letter that the provider rejects, and is cut at 64
  letters, unless the request offers a tool of that name. In `tools`, a name that the provider
  cannot take is an error.
* Each call has one result, right after it. A late result moves there, and a call without one gets
  `No result.` A result without a call, as in a history that was cut, is sent as the user's text; so
  is a second result of one call.
* Images and files in a tool's result are in a message of the user's after the results, where a
  vendor's results have none: an agent that has read a picture goes on with any model.
* A call of a vendor's own type (Moonshot's `builtin_function`) reaches that vendor as it was, and
  any other if the request's `tools` have this type. Without that, it is sent as a function's if it
  has one; if not, the call and its result are left out.
* Parts of the Responses API (`input_text`, `output_text`, `input_image`, `input_file`) and of
  Anthropic's API (`tool_use`, `tool_result`, `image`, `document`, signed `thinking`) are read as
  OpenAI's. One that cannot be read is an error by its path.
* Empty turns are left out, turns that a provider requires are added, and a refusal or the words of
  a spoken response are sent as text.
* Arguments that are not a JSON object are sent as the value of one: `{"arguments": "…"}`.

The log of each attempt lists the names of the fields in `dropped`, for example
`messages[].reasoning_content`, or `messages[].images (2)` if two images are left out. An empty turn
is `messages[].content`. It never has their values, nor a client's own names: those are counted as
`*` or `messages[].* (3)`, also in `rejected`. If Fanout itself rejects a request, such
as one member of a race, the attempt's line is a warning, and `rejected` is the field's name.

## Requests that fit each provider

Fanout also applies what the providers' references say about requests. For example, Anthropic's
`user` must not be an e-mail address: Fanout sends a hash of it.

With Anthropic and Bedrock:

* Bounds in a JSON schema (`minimum`, `maxLength`) move into the description.
* `json_object` is an instruction. So is a schema that refers to itself; a tool with one is not
  strict.
* Thinking is left off if the last turn has none.
* A `user` that is an e-mail address or a telephone number is sent as a hash.
* Bedrock gets at most four cache points, the last ones.
* Bedrock's models that cannot stream with tools (Llama, older Mistral models) are called without a
  stream; the whole response becomes one.
* Bedrock's models that call no tools (DeepSeek R1, Titan, Mistral 7B, Mixtral, Cohere's first
  Command models, the first Llama 3 and older ones, Llama 3.2 1B and 3B) get a 400 that names
  `tools`. Earlier calls and their results are text for them.

Tools:

* The schema of a tool gets what it misses (`type: object`, `properties`, `items` of arrays). This
  changes nothing that it accepts. Amazon Nova gets it without references and other keywords at the
  top.
* Of equal tools, one is sent.
* Gemini, Cohere and others cannot be asked for one tool call at a time: with
  `parallel_tool_calls: false`, Fanout keeps the first call.

Models without a system prompt (Bedrock's Mistral 7B, Mixtral and Titan, Gemma 3, Gemini's speech
models, o1-mini) get it as the user's words.

Open models have chat templates that reject some orders of messages, wherever they run (vLLM, LM
Studio, NVIDIA…). By the name of the model, Qwen 3.5 and later get one system message, which is
first; so do Mistral's models, Gemma up to 3, Llama 2 and Code Llama. Their neighbors of one role
also become one, and there is a turn of the assistant between a tool's result and the user.
Each call of Llama 3.1 to 3.3 becomes a message of its own, before its result.

These models get no tools with `tool_choice: none`. Other models may need
[`template_rules`](config.md#chat-templates) in the config.

Documents and images:

* A `file` is the part that Mistral or Perplexity has for documents.
* Base64 of images and documents is sent in one line with the standard letters.

### Thinking

`thinking: {"type": "enabled", "budget_tokens": 2000}` works with every model that thinks:

* Claude, Gemini and Cohere get the budget, or the nearest that the model takes. Where a model has
  only efforts (Claude from 4.7 on, Gemini 3), they get the nearest effort.
* OpenAI, Azure, Groq, xAI, Mistral and others get the nearest `reasoning_effort` that the model
  takes.
* DeepSeek, vLLM and servers behind `openai_like/` get the field as it is.
* DeepSeek, Kimi and Qwen do not think in a request that requires a call of a tool: they can do only
  one of them. If the client asked for both, that is a 400.

`{"type": "disabled"}` is `reasoning_effort: none`.

### OpenAI, or a server like it

Of content parts, tools, values and the fields of earlier responses, `openai/` sends only what
OpenAI's API has. For another server, use `openai_like/` or its own provider: these also get those
that are not OpenAI's, such as `video_url` (vLLM, OpenRouter), `browser_search` (Groq) or
`reasoning_effort: default` (Groq).

Parameters that Fanout does not know (`enable_thinking`, `guided_json`) are sent as they are, by
`openai/` too, and also with `drop_params`: the provider decides about them. OpenAI rejects them.
"""


FIXED = """## Parameters that a model fixes

Some models reject parameters that others take. [The rule](#what-drop_params-leaves-out) is the
same. A deployment whose name does not show its model needs `base_model`.

"""


NOTES = {
    "anthropic": "the Messages API; with `api_base`, any other server that implements it",
    "azure": "`api_base` is the URL of your resource; with a dated `api_version` the deployment is "
    "in the path, with none or `v1` it is not; set `base_model` if the deployment's name is not "
    "the model's",
    "bedrock": "the Converse API; for OpenAI's models, the OpenAI-compatible API; "
    "`bedrock/converse/…` and `bedrock/openai/…` select one; `aws_region_name` or AWS's own "
    "environment variables set the region",
    "cohere": "the v2 chat API",
    "gemini": "the native API of Google AI Studio",
    "hosted_vllm": "your own vLLM server",
    "local": "your own engine, such as `fanout local serve`",
    "ollama": "your own Ollama server",
    "openai": "with `api_base`, any server with exactly this API; for others, use `openai_like/`",
    "openai_like": "any OpenAI-compatible server; `api_base` is its URL",
    "openrouter": "forwards to many vendors, so billing depends on the vendor",
    "vertex_ai": "Gemini and Claude on Google Cloud, [see below](#vertex-ai)",
}


OTHERS = """## More OpenAI-compatible providers

These have LiteLLM's names, too, and get what any OpenAI-compatible server gets: `nvidia_nim/MODEL`
is called as `MODEL` at the address below, or at `api_base`.

"""


NOT_HERE = """## LiteLLM's providers with another API

Fanout rejects these names, also with `api_base`.

"""


VERTEX = """## Vertex AI

Vertex AI serves Gemini and Claude on Google Cloud. For example:

```yaml
model_list:
  - model_name: gemini
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: our-project
      vertex_location: global
      vertex_credentials: service-account.json
  - model_name: claude
    litellm_params:
      model: vertex_ai/claude-sonnet-4-5@20250929
      vertex_project: our-project
      vertex_location: europe-west1
```

Install Google's library: in a clone of Fanout, run `pip install '.[vertex]'`. It finds the
credentials:

* With `vertex_credentials`: the path of a JSON file, or its JSON. It may be the key of a service
  account, a user's credentials, or a configuration of workload identity federation, with which
  a program on AWS, Azure or elsewhere needs no key.
* Else with `GOOGLE_APPLICATION_CREDENTIALS`, the path of such a file.
* Else Google's default credentials: those of `gcloud auth application-default login`, or of the
  machine on Google Cloud. Elsewhere, `NO_GCE_CHECK=true` makes a missing login fail at once.

Fanout keeps the access token and replaces it in the background before it expires. An access token
in `api_key` (`gcloud auth print-access-token`) is sent unchanged, and works for an hour.

A tuned Gemini is `vertex_ai/ENDPOINT_ID`, with `base_model: gemini-2.5-flash` (the model that it is
made of).

In some ways, Vertex AI differs from the vendors' own APIs:

* Gemini reads files by `gs://` and web addresses, which must end like a file (`.pdf`). Claude reads
  no addresses, so send the data.
* `labels` in a request to Gemini are sent on, for your bill.
* `service_tier` may be `flex` or `priority` with Gemini.
"""
