package model

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

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
	if !ok {
		price, ok = t.Prices[provider+"/"+undated(name)]
	}
	price.Source = fmt.Sprintf("the table of %s (%s)", t.Date, strings.Join(t.Sources, ", "))
	return price, ok
}

// undated takes the date off the end of a name.
func undated(name string) string {
	for _, layout := range []string{"-20060102", "-2006-01-02"} {
		at := len(name) - len(layout)
		if at < 0 {
			continue
		}
		if _, err := time.Parse(layout, name[at:]); err == nil {
			return name[:at]
		}
	}
	return name
}
