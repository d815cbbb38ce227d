// Makes names.txt. In a folder with `npm install @faker-js/faker@10.6.0` run: node words.mjs OUT
import { allLocales } from '@faker-js/faker';
import fs from 'node:fs';

const plain = (list) => [...new Set(list.map((x) => (typeof x === 'string' ? x : x.value)))].filter((x) => /^[\p{Lu}][\p{Ll}]+$/u.test(x)).sort((a, b) => (a < b ? -1 : 1));
const spread = (list, n) => list.filter((_, i) => Math.floor((i * n) / list.length) !== Math.floor(((i - 1) * n) / list.length)).slice(0, n);
// The French list of first names is full of the Middle Ages, so these are ours.
const french = {
	female: 'Adèle Agathe Alice Amandine Amélie Anaïs Anne Audrey Aurélie Brigitte Camille Carole Caroline Catherine Céline Chantal Charlotte Chloé Christine Claire Clara Corinne Danielle Delphine Élise Élodie Emma Estelle Eva Fanny Florence Françoise Gabrielle Geneviève Hélène Inès Isabelle Jade Jeanne Jeannine Jocelyne Julie Juliette Justine Karine Laetitia Laura Laurence Léa Léna Louise Lucie Madeleine Manon Margaux Marie Marine Martine Mathilde Mélanie Monique Morgane Nadia Nathalie Nicole Noémie Océane Odile Patricia Pauline Rachel Romane Rose Sabrina Salomé Sandrine Sarah Séverine Simone Sophie Stéphanie Suzanne Sylvie Valérie Véronique Virginie Yvette Zoé',
	male: 'Adam Adrien Alain Alexandre Alexis André Antoine Arnaud Arthur Aurélien Baptiste Benjamin Benoît Bernard Bruno Cédric Charles Christian Christophe Claude Clément Corentin Damien Daniel David Denis Didier Dominique Dylan Émile Éric Étienne Fabien Fabrice Florian Francis Franck François Frédéric Gabriel Gaël Georges Gérard Gilles Grégory Guillaume Guy Henri Hugo Hubert Jacques Jean Jérémy Jérôme Joël Jonathan Joseph Jules Julien Kévin Laurent Léo Léon Louis Loïc Luc Lucas Ludovic Marc Marcel Martin Mathieu Maurice Maxime Michel Mickaël Nathan Nicolas Noah Olivier Pascal Patrick Paul Philippe Pierre Quentin Raphaël Raymond Rémi René Richard Robert Romain Samuel Sébastien Serge Simon Stéphane Sylvain Théo Thibault Thierry Thomas Tom Valentin Victor Vincent Xavier Yann Yves',
};
let text = '';
for (const language of ['en', 'de', 'fr', 'es']) {
	const { first_name: first, last_name: last } = allLocales[language].person;
	for (const [list, of, n] of [['female', first.female, 160], ['male', first.male, 160], ['last', last.generic, 400]]) {
		const names = language === 'fr' && french[list] ? french[list].split(' ') : plain(of);
		text += `${language} ${list} ${spread(names, n).join(' ')}\n`;
	}
}
fs.writeFileSync(process.argv[2], text);
