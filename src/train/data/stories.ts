/**
 * Small stories from templates with rules that hold over a whole story: who carries what, who is where.
 * Endless plain English text without copyright, for character or byte models.
 */
import { integer, pick, type Random } from '../../random/stream.ts'

const NAMES = ['Ada', 'Ben', 'Cora', 'Dan', 'Elif', 'Finn', 'Gita', 'Hugo', 'Ines', 'Jonas', 'Kira', 'Liam', 'Mina', 'Noor', 'Omar', 'Pia']
const PLACES = ['garden', 'kitchen', 'harbour', 'library', 'market', 'forest', 'station', 'school', 'tower', 'mill']
const THINGS = ['lantern', 'apple', 'map', 'key', 'drum', 'letter', 'kite', 'basket', 'compass', 'bell']
const QUALITIES = ['old', 'small', 'red', 'heavy', 'shiny', 'broken', 'green', 'strange']
const FEELINGS = ['happy', 'tired', 'curious', 'proud', 'hungry', 'surprised']

interface Person {
  name: string
  place: string
  things: string[]
}

/** One story of a few sentences; its last sentences ask for and answer something that was said before. */
export function story(next: Random): string {
  const people: Person[] = [...new Set([pick(next, NAMES), pick(next, NAMES), pick(next, NAMES)])].map((name) => ({
    name,
    place: pick(next, PLACES),
    things: [],
  }))
  const lines = people.map(({ name, place }) => `${name} was in the ${place}.`)
  const free = [...THINGS]
  for (let n = integer(next, 3, 6); n > 0; n--) {
    const person = pick(next, people)
    const other = people.find((p) => p !== person && p.place === person.place)
    const draw = next()
    if (draw < 0.35 && free.length > 0) {
      const [thing] = free.splice(integer(next, 0, free.length - 1), 1) as [string]
      person.things.push(thing)
      lines.push(`In the ${person.place} ${person.name} found a ${pick(next, QUALITIES)} ${thing} and took it along.`)
    } else if (draw < 0.5 && other && person.things.length > 0) {
      const thing = person.things.pop()!
      other.things.push(thing)
      lines.push(`${person.name} gave the ${thing} to ${other.name}.`)
    } else if (draw < 0.65) {
      lines.push(`${person.name} felt ${pick(next, FEELINGS)}.`)
    } else {
      person.place = pick(
        next,
        PLACES.filter((place) => place !== person.place),
      )
      lines.push(`Then ${person.name} went to the ${person.place}.`)
    }
  }
  const person = pick(next, people)
  lines.push(`"Where is ${person.name}?" asked a neighbour. "In the ${person.place}."`)
  const owner = people.find(({ things }) => things.length > 0)
  if (owner) lines.push(`"Who has the ${owner.things.at(-1)}?" "${owner.name} has it."`)
  return lines.join(' ')
}

/** Stories separated by blank lines, at least `bytes` long. */
export function stories(next: Random, bytes: number): string {
  const parts: string[] = []
  for (let size = 0; size < bytes; size += parts.at(-1)!.length + 2) parts.push(story(next))
  return parts.join('\n\n')
}
