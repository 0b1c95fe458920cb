/** Who is who, as the user has decided; the Rust side is `Edits` of `src/manifest.rs`. */

import { type Edits, FIRST_SPLIT, type PersonEdit } from 'framesift';
import { T } from './text';

/** What is said of people, with a change of one of them. */
export function withPerson(people: PersonEdit[], id: number, change: Partial<PersonEdit>, without: 'name' | 'same_as'): PersonEdit[] {
  const others = people.filter((person) => person.id !== id);
  const before = { ...people.find((person) => person.id === id) };
  delete before[without];
  const after = { ...before, ...change, id };
  return Object.keys(after).length > 1 ? [...others, after] : others;
}

/** Who a person really is. */
export function really({ people = [] }: Edits, person: number): number {
  const seen = new Set<number>();
  let now = person;
  for (let next: number | undefined = now; next !== undefined && !seen.has(next); next = people.find(({ id }) => id === now)?.same_as) {
    seen.add(next);
    now = next;
  }
  return now;
}

export function givenName({ people = [] }: Edits, person: number): string | undefined {
  return people.find(({ id }) => id === person)?.name;
}

export function personName(edits: Edits, person: number): string {
  return givenName(edits, person) ?? usualName(edits, person);
}

/** What they are called as long as they have no name. */
export function usualName(edits: Edits, person: number): string {
  return T.people.person(personNumber(edits, person));
}

/** From 1; who was split from person 3 is 3b, the next one 3c. */
export function personNumber({ split = [] }: Edits, person: number): string {
  const root = (one: number): number => {
    const from = split[one - FIRST_SPLIT];
    // Nobody is split from someone who came later.
    return from === undefined || from >= one ? one : root(from);
  };
  const number = String(root(person) + 1);
  if (person < FIRST_SPLIT) return number;
  const before = split.slice(0, person - FIRST_SPLIT).filter((_, i) => root(FIRST_SPLIT + i) === root(person));
  return `${number}${String.fromCharCode('b'.charCodeAt(0) + before.length)}`;
}
