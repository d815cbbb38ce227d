package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
)

// embeddings is the format of OpenAI's embeddings, of which only the input costs.
type embeddings struct{ openAI }

func (embeddings) callPath() string { return "/embeddings" }
func (embeddings) format() string   { return "openai.embeddings" }

func (embeddings) bound(o *object) (bound, error) {
	input, err := inputOf(o)
	b := bound{input: input}
	if err != nil {
		return b, err
	}
	_, err = o.get("model", &b.model)
	return b, err
}

func (embeddings) limit(*object, int64, bool) error { return nil }

func (embeddings) report(data []byte, r *report) error {
	var m struct {
		Object string
		Usage  *struct {
			PromptTokens int64 `json:"prompt_tokens"`
		}
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if m.Usage != nil {
		r.usage, r.known = Usage{Input: m.Usage.PromptTokens}, true
	}
	r.ended = m.Object == "list"
	return nil
}

// tokenCount is the format of Anthropic's question how many tokens a request has,
// which costs nothing.
type tokenCount struct{ anthropic }

func (tokenCount) callPath() string { return "/messages/count_tokens" }
func (tokenCount) format() string   { return "anthropic.tokens" }

func (tokenCount) bound(o *object) (b bound, err error) {
	_, err = o.get("model", &b.model)
	return b, err
}

func (tokenCount) limit(*object, int64, bool) error { return nil }

func (tokenCount) report([]byte, *report) error { return nil }

// Bounds of what a script embeds.
const (
	dimensions    = 8
	maxDimensions = 4096
)

// embed answers with vectors that are made of the texts' digests: the same text
// is always at the same place, and what texts mean does not matter.
func embed(w http.ResponseWriter, data []byte) {
	var q struct {
		Model      string
		Input      json.RawMessage
		Dimensions int
		Encoding   string `json:"encoding_format"`
	}
	if err := json.Unmarshal(data, &q); err != nil {
		writeFailure(w, embeddings{}, invalid("%v", err))
		return
	}
	if q.Dimensions == 0 {
		q.Dimensions = dimensions
	}
	if q.Dimensions < 0 || q.Dimensions > maxDimensions || len(q.Input) == 0 {
		writeFailure(w, embeddings{}, invalid(`"input" is missing, or "dimensions" is not from 1 to %d`, maxDimensions))
		return
	}
	list := []any{}
	for i, text := range inputs(q.Input) {
		var vector any = place(text, q.Dimensions)
		if q.Encoding == "base64" {
			vector = packed(place(text, q.Dimensions))
		}
		list = append(list, fields{"object": "embedding", "index": i, "embedding": vector})
	}
	n := tokens(len(q.Input))
	answer(w, http.StatusOK, fields{"object": "list", "model": q.Model, "data": list, "usage": fields{"prompt_tokens": n, "total_tokens": n}})
}

// inputs gives the texts of an input: one, or a list of them. What is no text is
// taken as it is written.
func inputs(raw json.RawMessage) [][]byte {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return [][]byte{raw}
	}
	texts := make([][]byte, len(list))
	for i, item := range list {
		texts[i] = item
	}
	return texts
}

// place gives the coordinates of a text, each from -1 to 1.
func place(text []byte, n int) []float32 {
	vector := make([]float32, n)
	for i := range vector {
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(bytes.Clone(text), uint32(i)))
		vector[i] = float32(int32(binary.BigEndian.Uint32(sum[:]))) / (1 << 31)
	}
	return vector
}

// packed is a vector as clients ask for it to save bytes.
func packed(vector []float32) string {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, vector); err != nil {
		panic("model: a buffer takes everything: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}
