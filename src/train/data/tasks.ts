/**
 * Synthetic tasks that show one mechanism each: recall, copying, induction, memorised facts.
 * Written for this project from the descriptions in the papers named at each.
 */
import { integer, pick, type Random } from '../../random/stream.ts'
import { Sequence, type Task } from './task.ts'

/** `count` different integers of 0…below-1. */
export function distinct(next: Random, count: number, below: number): number[] {
  const pool = Array.from({ length: below }, (_, i) => i)
  for (let i = 0; i < count; i++) {
    const j = integer(next, i, below - 1)
    ;[pool[i], pool[j]] = [pool[j]!, pool[i]!]
  }
  return pool.slice(0, count)
}

export interface RecallOptions {
  keys: number
  values: number
  pairs: number
  /** Noise ids between the pairs and the questions: the distance that has to be bridged. */
  gap: number
  /** Least noise; each sequence draws its own amount from here to `gap`. Default: always `gap`. */
  leastGap?: number
  /** Share of the questions that ask for a key without a value; the answer is then 1. A sequence then begins with a 0. Default 0. */
  absent?: number
}

/**
 * Multi-query associative recall: k₁ v₁ k₂ v₂ … noise … kᵢ vᵢ kⱼ vⱼ …; every asked value is scored. No key is asked again before
 * all keys were asked, so an answer comes from before the noise and not from an earlier question. Arora et al. 2023 (Zoology).
 * Ids: 0 padding, 1 noise and nothing, then keys, then values.
 */
export function associativeRecall({ keys, values, pairs, gap, leastGap = gap, absent = 0 }: RecallOptions): Task {
  if (absent > 0 && pairs === keys) throw new RangeError(`associative recall: with ${pairs} pairs of ${keys} keys no key is absent`)
  if (pairs > keys) throw new RangeError(`associative recall: ${pairs} pairs need as many keys, there are ${keys}`)
  return {
    name: `recall of ${pairs} pairs over ${gap}`,
    vocabSize: 2 + keys + values,
    sample(next, length) {
      const order = distinct(next, keys, keys)
      const chosen = order.slice(0, pairs)
      const paired = new Map(chosen.map((key) => [key, integer(next, 0, values - 1)]))
      const sequence = new Sequence()
      if (absent > 0) sequence.push(0)
      for (const [key, value] of paired) sequence.push(2 + key, 2 + keys + value)
      sequence.push(...Array<number>(integer(next, leastGap, gap)).fill(1))
      let asked: number[] = []
      while (sequence.length + 2 <= length) {
        if (absent > 0 && next() < absent) {
          sequence.push(2 + pick(next, order.slice(pairs))).pushScored(1)
          continue
        }
        if (asked.length === 0) asked = distinct(next, pairs, pairs)
        const key = chosen[asked.pop()!]!
        sequence.push(2 + key).pushScored(2 + keys + paired.get(key)!)
      }
      return sequence.end(length)
    },
  }
}

/** A random string, a separator (id 0), the string again; the second half is scored. Induction: Olsson et al. 2022. */
export function copy(symbols: number, span: number): Task {
  return {
    name: `copy of ${span}`,
    vocabSize: 1 + symbols,
    sample(next, length) {
      const text = Array.from({ length: span }, () => integer(next, 1, symbols))
      const sequence = new Sequence().push(...text, 0)
      while (sequence.length < length) sequence.pushScored(...text).push(0)
      return sequence.end(length)
    },
  }
}

/**
 * Induction: a random order of all symbols, then pieces of it of `piece` symbols from random places. Within a piece every symbol
 * after the first is scored. The distance varies, so a fixed offset does not help. Elhage et al. 2021.
 */
export function induction(symbols: number, piece: number): Task {
  return {
    name: `induction over ${symbols} symbols`,
    vocabSize: symbols,
    sample(next, length) {
      const order = distinct(next, symbols, symbols)
      const sequence = new Sequence().push(...order)
      while (sequence.length < length) {
        const from = integer(next, 0, symbols - piece)
        sequence.push(order[from]!).pushScored(...order.slice(from + 1, from + piece))
      }
      return sequence.end(length)
    },
  }
}

/**
 * A fixed table of random facts (subject, relation) -> object, drawn from `seed` and shown again and again in random order.
 * A model can learn only what fits in its weights. Objects are scored. Allen-Zhu & Li 2024 (knowledge capacity).
 */
export function facts(subjects: number, relations: number, objects: number, seed: number): Task {
  const table = factTable(subjects * relations, objects, seed)
  return {
    name: `${subjects * relations} facts`,
    vocabSize: subjects + relations + objects,
    sample(next, length) {
      const sequence = new Sequence()
      while (sequence.length + 3 <= length) {
        const [subject, relation] = [integer(next, 0, subjects - 1), integer(next, 0, relations - 1)]
        sequence.push(subject, subjects + relation).pushScored(subjects + relations + table[subject * relations + relation]!)
      }
      return sequence.end(length)
    },
  }
}

export interface LookUpOptions {
  subjects: number
  relations: number
  objects: number
  seed: number
  /** Whether a tool answers: the model writes a call (id of the call, subject, relation), reads the result, then answers. */
  tool: boolean
  /** Which half of the facts is asked for: the one shown in training, or the one that is never shown. */
  half: 'shown' | 'unseen'
}

/**
 * The table of `facts` as memory and as a tool. Without a tool: subject, relation, answer. With it: subject, relation, a call of the tool
 * with the two, the result, which comes from outside and is not scored, and the answer. Calls and answers are scored.
 */
export function lookUp({ subjects, relations, objects, seed, tool, half }: LookUpOptions): Task {
  const table = factTable(subjects * relations, objects, seed)
  const call = subjects + relations + objects
  return {
    name: `${subjects * relations} facts ${tool ? 'with a tool' : 'by heart'}, ${half}`,
    vocabSize: call + 1,
    sample(next, length) {
      const sequence = new Sequence()
      while (sequence.length + (tool ? 7 : 3) <= length) {
        const [subject, relation] = [integer(next, 0, subjects - 1), integer(next, 0, relations - 1)]
        if (((subject + relation) % 2 === 0) !== (half === 'shown')) continue
        const answer = subjects + relations + table[subject * relations + relation]!
        sequence.push(subject, subjects + relation)
        if (tool) sequence.pushScored(call, subject, subjects + relation).push(answer)
        sequence.pushScored(answer)
      }
      return sequence.end(length)
    },
  }
}

function factTable(count: number, objects: number, seed: number): Int32Array {
  let state = seed | 0
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return Math.floor(((state >>> 8) / 2 ** 24) * objects)
  })
}
