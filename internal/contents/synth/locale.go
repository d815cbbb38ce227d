package synth

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// locale is how a country's people are called, live, pay and write.
type locale struct {
	name, language, country, currency string
	accounts                          string // the country code of IBANs, which is none
	tax                               int    // per cent on what is sold
	female, male, last                []string
	places                            []place
	streets                           []string // with # for the house number
	jobs, firms                       []string
}

type place struct{ city, region, postcode, area string }

var (
	//go:embed names.txt
	namesText string
	//go:embed places.txt
	placesText string
)

// locales gives them all, in the order in which plans without a choice have
// them.
var locales = sync.OnceValue(func() []*locale {
	list := []*locale{
		{
			name: "en-US", language: "en", country: "US", currency: "USD", accounts: "XU", tax: 7,
			streets: []string{"# Maple Street", "# Oak Avenue", "# Cedar Lane", "# Sunset Drive", "# Lakeview Road", "# Hillcrest Court", "# 4th Street", "# Chestnut Way", "# Park Boulevard, Apt 4", "# Willow Creek Road", "# Union Square", "# Prairie Trail", "# Harbor View Terrace", "# Juniper Place"},
			jobs:    []string{"nurse", "electrician", "teacher", "accountant", "designer", "truck driver", "student", "retired", "engineer", "chef"},
			firms:   []string{"# Hardware", "# & Sons", "# Bakery", "# Logistics", "# Dental Care", "# Consulting"},
		},
		{
			name: "en-GB", language: "en", country: "GB", currency: "GBP", accounts: "XB", tax: 20,
			streets: []string{"# High Street", "# Station Road", "# Church Lane", "# Victoria Road", "# The Crescent", "# Mill Lane", "Flat 2, # Albert Road", "# Queensway", "# Orchard Close", "# Bridge Street", "# Alexandra Terrace", "# Meadow Drive"},
			jobs:    []string{"nurse", "joiner", "teacher", "bookkeeper", "bus driver", "student", "retired", "civil engineer", "barista", "solicitor"},
			firms:   []string{"# Ltd", "# & Daughters", "# Motors", "# Books", "# Catering", "# Surveyors"},
		},
		{
			name: "de-DE", language: "de", country: "DE", currency: "EUR", accounts: "XD", tax: 19,
			streets: []string{"Hauptstraße #", "Schulstraße #", "Gartenweg #", "Bahnhofstraße #", "Am Stadtpark #", "Lindenallee #", "Mühlenweg #", "Bergstraße #", "Rosenweg #a", "Kirchplatz #", "Goethestraße #", "Uferstraße #"},
			jobs:    []string{"Krankenpfleger", "Elektrikerin", "Lehrer", "Buchhalterin", "Rentner", "Studentin", "Tischler", "Ingenieurin", "Koch"},
			firms:   []string{"# GmbH", "Bäckerei #", "# & Söhne", "Autohaus #", "Praxis #", "Gärtnerei #"},
		},
		{
			name: "fr-FR", language: "fr", country: "FR", currency: "EUR", accounts: "XF", tax: 20,
			streets: []string{"# rue de la République", "# avenue Victor Hugo", "# rue des Lilas", "# place du Marché", "# chemin des Vignes", "# boulevard Voltaire", "# rue Pasteur", "# impasse du Moulin", "# quai des Tanneurs", "# rue de l’Église", "# allée des Tilleuls"},
			jobs:    []string{"infirmière", "électricien", "professeure", "comptable", "retraité", "étudiante", "menuisier", "ingénieure", "cuisinier"},
			firms:   []string{"# SARL", "Boulangerie #", "# et Fils", "Garage #", "Cabinet #", "Librairie #"},
		},
		{
			name: "es-ES", language: "es", country: "ES", currency: "EUR", accounts: "XE", tax: 21,
			streets: []string{"Calle Mayor, #", "Calle del Sol, #, 2.º B", "Avenida de la Constitución, #", "Plaza de España, #", "Calle Real, #", "Paseo del Parque, #", "Calle de la Fuente, #", "Camino Viejo, #", "Ronda Norte, #", "Calle San Juan, #, 1.º A"},
			jobs:    []string{"enfermera", "electricista", "profesor", "contable", "jubilada", "estudiante", "carpintero", "ingeniera", "cocinero"},
			firms:   []string{"# S.L.", "Panadería #", "# e Hijos", "Talleres #", "Clínica #", "Librería #"},
		},
	}
	byLanguage := map[string]map[string][]string{}
	for line := range strings.Lines(namesText) {
		words := strings.Fields(line)
		if byLanguage[words[0]] == nil {
			byLanguage[words[0]] = map[string][]string{}
		}
		byLanguage[words[0]][words[1]] = words[2:]
	}
	for _, l := range list {
		names := byLanguage[l.language]
		l.female, l.male, l.last = names["female"], names["male"], names["last"]
		for line := range strings.Lines(placesText) {
			if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); f[0] == l.name {
				l.places = append(l.places, place{f[1], f[2], f[3], f[4]})
			}
		}
	}
	return list
})

// localeNamed gives nil where there is none.
func localeNamed(name string) *locale {
	for _, l := range locales() {
		if l.name == name {
			return l
		}
	}
	return nil
}

// street is one with a house number.
func (l *locale) street(d *draw) string {
	return strings.Replace(pick(d, l.streets), "#", strconv.Itoa(1+d.rank(180)), 1)
}
