// async-openai against the gateway at the address that is its argument.
use std::{env, error::Error, time::Duration};

use async_openai::{
    config::OpenAIConfig,
    error::OpenAIError,
    types::chat::{
        CreateChatCompletionRequest, CreateChatCompletionResponse,
        CreateChatCompletionStreamResponse, FinishReason,
    },
    Client,
};
use futures::StreamExt;
use serde_json::{json, Value};

type Outcome<T = String> = Result<T, Box<dyn Error>>;

const LOCK: &str = include_str!("../Cargo.lock");
const VENDORS: [(&str, &str); 3] = [
    ("OpenAI", "gpt"),
    ("Anthropic", "claude"),
    ("Gemini", "gemini"),
];

struct Tester {
    client: Client<OpenAIConfig>,
    name: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = env::args().nth(1).expect("the base URL");
    let config = OpenAIConfig::new().with_api_base(url).with_api_key("none");
    let tester = Tester {
        client: Client::with_config(config),
        name: name(),
    };
    tester.print("cancelled", tester.cancelled().await);
    tester.print("plain", tester.plain().await);
    tester.print("streamed", tester.streamed().await);
    tester.print("all, one fails", tester.all_plain().await);
    tester.print("all, one fails, streamed", tester.all_streamed().await);
    tester.print("race", tester.race().await);
    tester.print("lists", tester.lists("lists").await);
    tester.print("lists, all", tester.lists("slow, lists").await);
    for (vendor, model) in VENDORS {
        tester.print(&format!("tools, {vendor}"), tester.tools(model).await);
        tester.print(
            &format!("structured, {vendor}"),
            tester.structured(model).await,
        );
    }
    tester.print("tools, Claude that thinks", tester.tools("thinker").await);
    tester.print("unknown model", tester.failure("no-such-model").await);
    // It does not heed `x-should-retry`.
    tester.print(
        "error, retried by the client",
        tester.failure("failing").await,
    );
}

fn name() -> String {
    let (_, after) = LOCK
        .split_once("name = \"async-openai\"\nversion = \"")
        .unwrap_or_default();
    let version = after.split('"').next().unwrap_or_default();
    format!("async-openai {version} (Rust)")
}

fn ask(model: &str, prompt: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": prompt}]})
}

fn check(condition: bool, found: impl std::fmt::Debug) -> Outcome<()> {
    if condition {
        Ok(())
    } else {
        Err(format!("{found:?}").into())
    }
}

impl Tester {
    fn print(&self, case: &str, outcome: Outcome) {
        let (result, fault) = match outcome {
            Ok(text) => (text, String::new()),
            Err(error) => (String::new(), error.to_string()),
        };
        println!(
            "{}",
            json!({"client": self.name, "case": case, "result": result, "fault": fault})
        );
    }

    async fn send(&self, body: Value) -> Outcome<CreateChatCompletionResponse> {
        let request: CreateChatCompletionRequest = serde_json::from_value(body)?;
        Ok(self.client.chat().create(request).await?)
    }

    async fn stream(&self, body: Value) -> Outcome<Vec<CreateChatCompletionStreamResponse>> {
        let request: CreateChatCompletionRequest = serde_json::from_value(body)?;
        let mut stream = self.client.chat().create_stream(request).await?;
        let mut chunks = vec![];
        while let Some(chunk) = stream.next().await {
            chunks.push(chunk?);
        }
        Ok(chunks)
    }

    async fn plain(&self) -> Outcome {
        let answer = self.send(ask("gpt", "Say hello.")).await?;
        check(
            answer.choices[0].finish_reason == Some(FinishReason::Stop),
            &answer,
        )?;
        check(
            answer
                .usage
                .as_ref()
                .is_some_and(|usage| usage.completion_tokens == 7),
            &answer,
        )?;
        Ok(answer.choices[0]
            .message
            .content
            .clone()
            .unwrap_or_default())
    }

    async fn streamed(&self) -> Outcome {
        let mut body = ask("gpt", "Say hello.");
        body["stream_options"] = json!({"include_usage": true});
        let chunks = self.stream(body).await?;
        check(chunks.iter().any(|chunk| chunk.usage.is_some()), "no usage")?;
        let choices = chunks.iter().flat_map(|chunk| &chunk.choices);
        Ok(choices
            .filter_map(|choice| choice.delta.content.clone())
            .collect())
    }

    async fn all_plain(&self) -> Outcome {
        let answer = self.send(ask("slow, broken, gpt", "Say hello.")).await?;
        let reasons: Vec<_> = answer
            .choices
            .iter()
            .map(|choice| choice.finish_reason)
            .collect();
        check(reasons == [Some(FinishReason::Stop); 3], &answer)?;
        let texts: Vec<_> = answer
            .choices
            .iter()
            .map(|choice| choice.message.content.as_deref())
            .collect();
        check(
            texts == [Some("Hello from slow."), None, Some("Hello from gpt-4o.")],
            &answer,
        )?;
        answer.choices[1]
            .message
            .refusal
            .clone()
            .ok_or_else(|| "no refusal".into())
    }

    async fn all_streamed(&self) -> Outcome {
        let mut texts = [const { String::new() }; 3];
        let mut ends = [0; 3];
        let mut refusal = String::new();
        for chunk in self.stream(ask("slow, broken, gpt", "Say hello.")).await? {
            for choice in chunk.choices {
                let index = choice.index as usize;
                texts[index] += choice.delta.content.as_deref().unwrap_or_default();
                refusal += choice.delta.refusal.as_deref().unwrap_or_default();
                ends[index] += i32::from(choice.finish_reason == Some(FinishReason::Stop));
            }
        }
        check(
            texts == ["Hello from slow.", "", "Hello from gpt-4o."],
            &texts,
        )?;
        check(ends == [1, 1, 1] && !refusal.is_empty(), (ends, &refusal))?;
        Ok(refusal)
    }

    /// By a model name that stands for a race: the request type has no other fields.
    async fn race(&self) -> Outcome {
        let answer = self.send(ask("fast", "Say hello.")).await?;
        check(answer.model == "gpt", &answer)?;
        Ok(answer.model)
    }

    /// A vendor's list, which is not OpenAI's, comes in several chunks.
    async fn lists(&self, model: &str) -> Outcome {
        let chunks = self.stream(ask(model, "Say hello.")).await?;
        let choices = chunks.iter().flat_map(|chunk| &chunk.choices);
        let last = choices.clone().map(|choice| choice.index).max();
        let own: Vec<_> = choices
            .filter(|choice| Some(choice.index) == last)
            .collect();
        let text: String = own
            .iter()
            .filter_map(|choice| choice.delta.content.clone())
            .collect();
        let roles = own.iter().filter(|choice| choice.delta.role.is_some());
        check(text == "Hello from lists." && roles.count() == 1, &own)?;
        Ok(text)
    }

    async fn tools(&self, model: &str) -> Outcome {
        let mut body = ask(model, "What is the weather in Oslo and in Bergen?");
        body["tools"] = json!([{"type": "function", "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        }}]);
        let called = self.send(body.clone()).await?;
        let message = serde_json::to_value(&called.choices[0].message)?;
        let calls = message["tool_calls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        check(calls.len() == 2, &called)?;
        let messages = body["messages"].as_array_mut().ok_or("no messages")?;
        messages.push(message);
        for call in calls {
            let arguments: Value =
                serde_json::from_str(call["function"]["arguments"].as_str().unwrap_or_default())?;
            let content = format!(
                "7 degrees in {}",
                arguments["city"].as_str().unwrap_or_default()
            );
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": content}));
        }
        let answer = self.send(body).await?;
        let text = answer.choices[0]
            .message
            .content
            .clone()
            .unwrap_or_default();
        check(
            text.contains("7 degrees in Oslo") && text.contains("7 degrees in Bergen"),
            &answer,
        )?;
        Ok(text)
    }

    async fn structured(&self, model: &str) -> Outcome {
        let mut body = ask(model, "Say hello.");
        body["response_format"] = json!({"type": "json_schema", "json_schema": {
            "name": "weather",
            "strict": true,
            "schema": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "degrees": {"type": "integer", "minimum": -90, "maximum": 60},
                },
                "required": ["city", "degrees"],
                "additionalProperties": false,
            },
        }});
        let answer = self.send(body).await?;
        let text = answer.choices[0]
            .message
            .content
            .clone()
            .unwrap_or_default();
        let found: Value = serde_json::from_str(&text)?;
        check(found == json!({"city": "Oslo", "degrees": 7}), &found)?;
        Ok(text)
    }

    async fn failure(&self, model: &str) -> Outcome {
        let request: CreateChatCompletionRequest =
            serde_json::from_value(ask(model, "Say hello."))?;
        match self.client.chat().create(request).await {
            Err(OpenAIError::ApiError(raised)) => Ok(format!("ApiError: {raised}")),
            other => Err(format!("{other:?}").into()),
        }
    }

    async fn cancelled(&self) -> Outcome {
        let request: CreateChatCompletionRequest =
            serde_json::from_value(ask("endless", "Say hello."))?;
        let mut stream = self.client.chat().create_stream(request).await?;
        for _ in 0..4 {
            stream.next().await.ok_or("the stream ended")??;
        }
        drop(stream);
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok("after 4 chunks".into())
    }
}
