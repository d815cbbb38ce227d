package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"proofbox"
)

// priceTable has the prices on which two sources agree, or the dearer of both;
// scripts/prices makes it.
//
//go:embed prices.json
var priceTable []byte

// table is a dated list of prices.
type table struct {
	Sources []string
	Date    string
	Prices  map[string]proofbox.Price // by "provider/model"
}

var readTable = sync.OnceValue(func() table {
	var t table
	if err := json.Unmarshal(priceTable, &t); err != nil {
		panic(fmt.Sprintf("model: the table of prices: %v", err))
	}
	return t
})

// Listed gives the price of a provider's model as the table has it, and whether
// it does. A name that ends in a date is the model's without it, unless it has a
// price of its own.
func Listed(provider, name string) (proofbox.Price, bool) {
	t := readTable()
	price, ok := t.Prices[provider+"/"+name]
	if dated := regexp.MustCompile(`-(\d{8}|\d{4}-\d{2}-\d{2})$`); !ok {
		price, ok = t.Prices[provider+"/"+dated.ReplaceAllString(name, "")]
	}
	price.Source = fmt.Sprintf("the table of %s (%s)", t.Date, strings.Join(t.Sources, ", "))
	return price, ok
}
