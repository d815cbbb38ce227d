package model_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	fromAnthropic "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	fromOpenAI "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"proofbox"
	"proofbox/internal/model"
)

// scripted is a desk whose model answers from a script.
func scripted(t *testing.T, text string) (*httptest.Server, *purse) {
	t.Helper()
	script, err := model.ReadScript([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p := &purse{left: proofbox.Dollar, holds: map[int64]proofbox.Money{}}
	desk := httptest.NewServer(&model.Desk{Purse: p, Models: []model.Model{{
		Name: "m", Formats: []string{"openai", "anthropic"}, Base: "http://script", Transport: script.Transport(t.Context()), Prices: prices, MaxOutput: 1000,
	}}})
	t.Cleanup(desk.Close)
	return desk, p
}

// errand is a conversation in which a tool is asked for and answers.
const errand = `
version: 1
turns:
  - {contains: weather, number: 1, text: "I look. Ü😀", calls: [{tool: look, input: {where: "Zürich"}}]}
  - {contains: rain, number: 2, text: It rains. Take a coat with you.}
  - {contains: fail, error: {status: 400, message: no such thing}}
`

// settled fails unless so many calls were charged and nothing is held.
func settled(t *testing.T, p *purse, calls int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spent) != calls || len(p.holds) > 0 || slices.Contains(p.spent, 0) {
		t.Errorf("charged %v for %d calls; open %v", p.spent, calls, p.holds)
	}
}

// TestOpenAIResponses: OpenAI's own client has a conversation with a tool, whole and
// as a stream, in the format of responses.
func TestOpenAIResponses(t *testing.T) {
	t.Parallel()
	desk, p := scripted(t, errand)
	client := openai.NewClient(fromOpenAI.WithBaseURL(desk.URL+"/openai/v1"), fromOpenAI.WithAPIKey("none"), fromOpenAI.WithMaxRetries(0))
	ask := responses.ResponseNewParams{
		Model: "m", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("what is the weather?")},
		Tools: []responses.ToolUnionParam{responses.ToolParamOfFunction("look", map[string]any{"type": "object"}, false)},
	}
	first, err := client.Responses.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if first.OutputText() != "I look. Ü😀" || first.Status != "completed" || first.Usage.OutputTokens == 0 || len(first.Output) != 2 {
		t.Fatalf("the answer is %s", first.RawJSON())
	}
	call := first.Output[1].AsFunctionCall()
	if call.Name != "look" || call.Arguments != `{"where":"Zürich"}` {
		t.Errorf("the call is %s", call.RawJSON())
	}
	told := responses.ResponseInputItemParamOfFunctionCallOutput("rain")
	told.OfFunctionCallOutput.CallID = openai.String(call.CallID)
	ask.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{
		responses.ResponseInputItemParamOfMessage("what is the weather?", "user"),
		responses.ResponseInputItemParamOfFunctionCall(call.Arguments, call.CallID, call.Name),
		told,
	}}
	stream := client.Responses.NewStreaming(t.Context(), ask)
	var text strings.Builder
	var kinds []string
	for stream.Next() {
		event := stream.Current()
		kinds = append(kinds, event.Type)
		if event.Type == "response.output_text.delta" {
			text.WriteString(event.Delta)
		}
	}
	if stream.Err() != nil || text.String() != "It rains. Take a coat with you." || kinds[0] != "response.created" || kinds[len(kinds)-1] != "response.completed" {
		t.Errorf("the stream is %q in %q: %v", &text, kinds, stream.Err())
	}
	settled(t, p, 2)
	ask.Input = responses.ResponseNewParamsInputUnion{OfString: openai.String("fail")}
	_, err = client.Responses.New(t.Context(), ask)
	if told, ok := errors.AsType[*openai.Error](err); !ok || told.StatusCode != http.StatusBadRequest || told.Message != "no such thing" {
		t.Errorf("the error is %v", err)
	}
}

// TestOpenAIChat: the same with chat completions, and embeddings and the models.
func TestOpenAIChat(t *testing.T) {
	t.Parallel()
	desk, p := scripted(t, errand)
	client := openai.NewClient(fromOpenAI.WithBaseURL(desk.URL+"/openai/v1"), fromOpenAI.WithAPIKey("none"), fromOpenAI.WithMaxRetries(0))
	ask := openai.ChatCompletionNewParams{Model: "m", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("what is the weather?")}}
	first, err := client.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	said := first.Choices[0].Message
	if said.Content != "I look. Ü😀" || len(said.ToolCalls) != 1 || said.ToolCalls[0].Function.Arguments != `{"where":"Zürich"}` {
		t.Fatalf("the answer is %s", first.RawJSON())
	}
	ask.Messages = append(ask.Messages, said.ToParam(), openai.ToolMessage("rain", said.ToolCalls[0].ID))
	stream := client.Chat.Completions.NewStreaming(t.Context(), ask)
	var whole openai.ChatCompletionAccumulator
	for stream.Next() {
		if !whole.AddChunk(stream.Current()) {
			t.Errorf("a chunk does not fit: %s", stream.Current().RawJSON())
		}
	}
	if stream.Err() != nil || whole.Choices[0].Message.Content != "It rains. Take a coat with you." || whole.Usage.CompletionTokens == 0 {
		t.Errorf("the stream is %+v: %v", whole, stream.Err())
	}
	vectors, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "m", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"x", "y"}}})
	if err != nil || len(vectors.Data) != 2 {
		t.Errorf("the vectors are %v: %v", vectors, err)
	}
	models, err := client.Models.List(t.Context())
	if err != nil || len(models.Data) != 1 || models.Data[0].ID != "m" {
		t.Errorf("the models are %v: %v", models, err)
	}
	settled(t, p, 3)
}

// TestAnthropicMessages: Anthropic's own client has that conversation.
func TestAnthropicMessages(t *testing.T) {
	t.Parallel()
	desk, p := scripted(t, errand)
	client := anthropic.NewClient(fromAnthropic.WithBaseURL(desk.URL+"/anthropic"), fromAnthropic.WithAPIKey("none"), fromAnthropic.WithMaxRetries(0))
	ask := anthropic.MessageNewParams{Model: "m", MaxTokens: 100, Messages: []anthropic.MessageParam{
		anthropic.NewUserMessage(anthropic.NewTextBlock("what is the weather?")),
	}}
	first, err := client.Messages.New(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Content) != 2 || first.Content[0].Text != "I look. Ü😀" || string(first.Content[1].Input) != `{"where":"Zürich"}` {
		t.Fatalf("the answer is %s", first.RawJSON())
	}
	ask.Messages = append(ask.Messages, first.ToParam(), anthropic.NewUserMessage(anthropic.NewToolResultBlock(first.Content[1].ID, "rain", false)))
	stream := client.Messages.NewStreaming(t.Context(), ask)
	var whole anthropic.Message
	for stream.Next() {
		if err := whole.Accumulate(stream.Current()); err != nil {
			t.Error(err)
		}
	}
	if stream.Err() != nil || whole.Content[0].Text != "It rains. Take a coat with you." || whole.StopReason != "end_turn" {
		t.Errorf("the stream is %+v: %v", whole, stream.Err())
	}
	settled(t, p, 2)
	tokens, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: "m", Messages: ask.Messages})
	if err != nil || tokens.InputTokens == 0 {
		t.Errorf("the tokens are %v: %v", tokens, err)
	}
}

// TestPicturesAreHeldInFull: a picture costs by its size in the eyes of the model,
// which its bytes do not show.
func TestPicturesAreHeldInFull(t *testing.T) {
	t.Parallel()
	for path, body := range map[string]string{
		chat:                   `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,eA=="}}]}]}`,
		messages:               `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"eA=="}}]}]}`,
		"/openai/v1/responses": `{"model":"m","max_output_tokens":1,"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,eA=="}]}]}`,
	} {
		desk, p := provider(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		if status, _, answer := post(t, desk, path, body); status != http.StatusInternalServerError {
			t.Errorf("%s: %d %s", path, status, answer)
		}
		if want := proofbox.Money(len(body)+2048+50_000)*micro + 10*micro; len(p.spent) != 1 || p.spent[0] != want {
			t.Errorf("%s: held %v, want %s", path, p.spent, want)
		}
	}
}
