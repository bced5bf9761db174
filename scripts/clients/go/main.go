// OpenAI's Go SDK against the gateway at the address that is its argument.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"
)

var (
	client  openai.Client
	ctx     = context.Background()
	fastest = option.WithJSONSet("fastest_response", true)
)

func main() {
	client = openai.NewClient(option.WithBaseURL(os.Args[1]), option.WithAPIKey("none"))
	cases := []testCase{
		{"cancelled", cancelled},
		{"plain", plain},
		{"streamed", streamed},
		{"all, one fails", allPlain},
		{"all, one fails, streamed", allStreamed},
		{"all, a list of models", allOfList},
		{"race", race},
		{"race, streamed", raceStreamed},
	}
	for _, vendor := range [][2]string{{"OpenAI", "gpt"}, {"Anthropic", "claude"}, {"Gemini", "gemini"}} {
		cases = append(cases,
			testCase{"tools, " + vendor[0], func() (string, error) { return tools(vendor[1]) }},
			testCase{"structured, " + vendor[0], func() (string, error) { return structured(vendor[1]) }})
	}
	cases = append(cases,
		testCase{"tools, Claude that thinks", func() (string, error) { return tools("thinker") }},
		testCase{"lists", func() (string, error) { return lists("lists") }},
		testCase{"lists, race", func() (string, error) { return lists("slow, lists", fastest) }},
		testCase{"lists, all", func() (string, error) { return lists("slow, lists") }},
		testCase{"unknown model", func() (string, error) { return failure("no-such-model", 404) }},
		testCase{"error", func() (string, error) { return failure("failing", 502) }})
	run("", cases)
	run(", responses", responseCases())
}

func ask(model, prompt string) openai.ChatCompletionNewParams {
	messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage(prompt)}
	return openai.ChatCompletionNewParams{Model: model, Messages: messages}
}

// accumulate reads a stream with the SDK's own accumulator.
func accumulate(params openai.ChatCompletionNewParams, more ...option.RequestOption) (*openai.ChatCompletion, error) {
	stream := client.Chat.Completions.NewStreaming(ctx, params, more...)
	accumulator := openai.ChatCompletionAccumulator{}
	for stream.Next() {
		if !accumulator.AddChunk(stream.Current()) {
			return nil, errors.New("the accumulator rejects a chunk")
		}
	}
	return &accumulator.ChatCompletion, stream.Err()
}

func plain() (string, error) {
	answer, err := client.Chat.Completions.New(ctx, ask("gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content,
		check(answer.Usage.CompletionTokens == 7 && answer.Choices[0].FinishReason == "stop", answer)
}

func streamed() (string, error) {
	params := ask("gpt", "Say hello.")
	params.StreamOptions.IncludeUsage = param.NewOpt(true)
	answer, err := accumulate(params)
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, check(answer.Usage.CompletionTokens == 7, answer)
}

func allPlain() (string, error) {
	answer, err := client.Chat.Completions.New(ctx, ask("slow, broken, gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	return checkAll(answer)
}

func allStreamed() (string, error) {
	answer, err := accumulate(ask("slow, broken, gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	return checkAll(answer)
}

// allOfList sends the models as a JSON list, and two conversations to each of them.
func allOfList() (string, error) {
	conversation := []map[string]string{{"role": "user", "content": "Say hello."}}
	answer, err := client.Chat.Completions.New(ctx, ask("", ""),
		option.WithJSONSet("model", []string{"slow", "gpt"}),
		option.WithJSONSet("messages", [][]map[string]string{conversation, conversation}))
	if err != nil {
		return "", err
	}
	texts := []string{}
	for _, choice := range answer.Choices {
		texts = append(texts, choice.Message.Content)
	}
	found := strings.Join(texts, " ")
	wanted := "Hello from slow. Hello from gpt-4o. Hello from slow. Hello from gpt-4o."
	return fmt.Sprintf("%d choices", len(texts)), check(found == wanted, found)
}

// lists reads a stream in which a vendor's list, which is not OpenAI's, comes in several chunks.
func lists(model string, more ...option.RequestOption) (string, error) {
	answer, err := accumulate(ask(model, "Say hello."), more...)
	if err != nil {
		return "", err
	}
	message := answer.Choices[len(answer.Choices)-1].Message
	return message.Content, check(message.Role == "assistant" && message.Content == "Hello from lists.", answer)
}

func checkAll(answer *openai.ChatCompletion) (string, error) {
	if err := check(len(answer.Choices) == 3, answer); err != nil {
		return "", err
	}
	for index, text := range []string{"Hello from slow.", "", "Hello from gpt-4o."} {
		choice := answer.Choices[index]
		failed := choice.Message.Refusal != ""
		isRight := choice.FinishReason == "stop" && choice.Message.Content == text && failed == (text == "")
		if err := check(isRight, choice); err != nil {
			return "", err
		}
	}
	return answer.Choices[1].Message.Refusal, nil
}

func race() (string, error) {
	answer, err := client.Chat.Completions.New(ctx, ask("slow, gpt", "Say hello."), fastest)
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, check(answer.Model == "gpt", answer)
}

func raceStreamed() (string, error) {
	answer, err := accumulate(ask("slow, gpt", "Say hello."), fastest)
	if err != nil {
		return "", err
	}
	return answer.Choices[0].Message.Content, check(answer.Model == "gpt", answer)
}

type turn func(openai.ChatCompletionNewParams) (*openai.ChatCompletion, error)

func tools(model string) (string, error) {
	whole := func(params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
		return client.Chat.Completions.New(ctx, params)
	}
	streaming := func(params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
		return accumulate(params)
	}
	if _, err := converse(model, whole); err != nil {
		return "", err
	}
	return converse(model, streaming)
}

func converse(model string, send turn) (string, error) {
	params := ask(model, "What is the weather in Oslo and in Bergen?")
	params.Tools = []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
			Name: "get_weather",
			Parameters: shared.FunctionParameters{
				"type":       "object",
				"properties": map[string]any{"city": map[string]any{"type": "string"}},
				"required":   []string{"city"},
			},
		}),
	}
	called, err := send(params)
	if err != nil {
		return "", err
	}
	message := called.Choices[0].Message
	if err := check(len(message.ToolCalls) == 2, called); err != nil {
		return "", err
	}
	params.Messages = append(params.Messages, message.ToParam())
	for _, call := range message.ToolCalls {
		var arguments struct{ City string }
		if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil {
			return "", err
		}
		params.Messages = append(params.Messages, openai.ToolMessage("7 degrees in "+arguments.City, call.ID))
	}
	answer, err := send(params)
	if err != nil {
		return "", err
	}
	text := answer.Choices[0].Message.Content
	isRight := strings.Contains(text, "7 degrees in Oslo") && strings.Contains(text, "7 degrees in Bergen")
	return text, check(isRight, answer)
}

func structured(model string) (string, error) {
	params := ask(model, "Say hello.")
	params.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
				Name:   "weather",
				Strict: param.NewOpt(true),
				Schema: weatherSchema,
			},
		},
	}
	answer, err := client.Chat.Completions.New(ctx, params)
	if err != nil {
		return "", err
	}
	return checkStructured(answer.Choices[0].Message.Content)
}

func failure(model string, status int) (string, error) {
	_, err := client.Chat.Completions.New(ctx, ask(model, "Say hello."))
	return checkRaised(err, status)
}

func cancelled() (string, error) {
	cancellable, cancel := context.WithCancel(ctx)
	stream := client.Chat.Completions.NewStreaming(cancellable, ask("endless", "Say hello."))
	chunks := 0
	for chunks < 4 && stream.Next() {
		chunks++
	}
	cancel()
	time.Sleep(300 * time.Millisecond)
	return fmt.Sprintf("after %d chunks", chunks), check(chunks == 4, chunks)
}
