/** The items of a run: the records of a task with their prompts. Everything is rendered before the first request, so mistakes show at once. */
import type { Message } from '../chat/messages.ts'
import { describe, isObject, type Json } from '../json/json.ts'
import { mixSeeds } from '../random/hash.ts'
import { random } from '../random/stream.ts'
import { TaskError } from './errors.ts'
import { type DataFile, type DataRecord, readRecords } from './records.ts'
import {
  type Asking,
  type AskingTask,
  type ChoicesTask,
  type LastWordTask,
  type RollingTask,
  type Shots,
  type Task,
  textsOf,
} from './task.ts'

interface Named {
  readonly id: string
  readonly group: string | undefined
}

export interface ChoicesItem extends Named {
  readonly prompt: string
  readonly choices: readonly string[]
  readonly delimiter: string
  readonly answer: number
}

export interface LastWordItem extends Named {
  readonly prompt: string
  readonly target: string
}

export interface RollingItem extends Named {
  readonly text: string
  readonly counted: string
}

/** One question, not yet asked: options are shuffled anew for each repeat. */
export interface AskingItem extends Named {
  readonly record: DataRecord
  question(repeat: number): Question
}

export interface Question {
  readonly request: { readonly messages: readonly Message[] } | { readonly prompt: string }
  /** Letters to choose from. */
  readonly options: number
  /** The right answer; undefined where none can be compared. */
  readonly answer: unknown
}

export interface ItemOptions {
  /** Files of the data, and of the solved examples. */
  readonly data: readonly DataFile[]
  readonly shots?: readonly DataFile[]
  /** Only the first records. */
  readonly limit?: number
  /** Order of options. Default 0. */
  readonly seed?: number
}

/** @throws TaskError on data that the task cannot be made of */
export function choicesItems(task: ChoicesTask, options: ItemOptions): ChoicesItem[] {
  const before = shotsBefore(task, options, (record) => {
    const { choices, answer } = solved(task, record)
    return task.delimiter + choices[answer]!
  })
  return named(task, options, (record) => ({
    prompt: before(record) + task.prompt.text(record.fields, record.place),
    ...solved(task, record),
    delimiter: task.delimiter,
  }))
}

function solved(task: ChoicesTask, { fields, place }: DataRecord): { choices: string[]; answer: number } {
  const choices = task.choices(fields, place)
  if (choices.length < 2) throw new TaskError(`${place}: expected at least two choices, got ${choices.length}`)
  const empty = choices.indexOf('')
  if (empty >= 0) throw new TaskError(`${place}: choice ${empty} is empty`)
  const value = task.answer.value(fields, place)
  const answer = typeof value === 'string' ? choices.indexOf(value) : value
  if (typeof answer !== 'number' || choices[answer] === undefined)
    throw new TaskError(
      `${place}: expected the answer to be an index from 0 to ${choices.length - 1} or one of the choices, got ${describe(value)}`,
    )
  return { choices, answer }
}

export function lastWordItems(task: LastWordTask, options: ItemOptions): LastWordItem[] {
  const before = shotsBefore(task, options, ({ fields, place }) => task.target.text(fields, place))
  return named(task, options, (record) => {
    const target = task.target.text(record.fields, record.place)
    if (target.trim() === '') throw new TaskError(`${record.place}: the target of the task is empty`)
    return { prompt: before(record) + task.prompt.text(record.fields, record.place), target }
  })
}

export function rollingItems(task: RollingTask, options: ItemOptions): RollingItem[] {
  const items = named(task, options, ({ fields, place }) => ({
    text: task.text.text(fields, place),
    counted: task.counted.text(fields, place),
  }))
  if (task.join === undefined) return items
  const joined = (key: 'text' | 'counted') => items.map((item) => item[key]).join(task.join)
  // Other records are another text, so its result is not that of an earlier run with another limit.
  return [{ id: `all ${items.length}`, group: undefined, text: joined('text'), counted: joined('counted') }]
}

export function askingItems(task: AskingTask, options: ItemOptions): AskingItem[] {
  const { seed = 0 } = options
  const target = (record: DataRecord) => {
    const { fields, place } = record
    const own = task.kind === 'generate' ? (task.shotAnswer?.text(fields, place) ?? task.answer?.value(fields, place)) : undefined
    if (own === undefined) throw new TaskError(`${place}: solved examples of this task need "shotAnswer"`)
    return ` ${String(own).trimStart()}`
  }
  const before = shotsBefore(task, options, target)
  let index = 0
  return named(task, options, (record) => {
    const number = index++
    const question = (repeat: number) => questionOf(task, record, before(record), mixSeeds(seed, number, repeat))
    question(0)
    return { record, question }
  })
}

function questionOf(task: AskingTask, record: DataRecord, before: string, seed: number): Question {
  const { place } = record
  let fields = record.fields
  let options: string[] = []
  let answer = task.kind === 'generate' ? task.answer?.value(fields, place) : undefined
  if (task.options) {
    const given = textsOf(task.options.value(fields, place), `${place}: the options of the task`)
    if (given.length < 2 || given.length > 26) throw new TaskError(`${place}: expected 2 to 26 options, got ${given.length}`)
    const order = shuffled(given.length, seed)
    options = order.map((i) => given[i]!)
    answer = String.fromCharCode(65 + order.indexOf(0))
    fields = { ...fields, options }
  }
  return { request: requestOf(task, fields, place, before), options: options.length, answer }
}

function requestOf(task: Asking, fields: Json, place: string, before: string): Question['request'] {
  if (task.as === 'completion') return { prompt: before + task.prompt.text(fields, place) }
  const system: Message[] = task.system ? [{ role: 'system', content: task.system.text(fields, place) }] : []
  if (!task.messages) return { messages: [...system, { role: 'user', content: before + task.prompt.text(fields, place) }] }
  return { messages: [...system, ...messagesOf(task.messages.value(fields, place), `${place}: the messages of the task`)] }
}

const ROLES = ['system', 'developer', 'user', 'assistant'] as const

function messagesOf(value: unknown, what: string): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw new TaskError(`${what}: expected a list of messages, got ${describe(value)}`)
  return value.map((message, i) => {
    const { role, content } = isObject(message) ? message : {}
    const known = ROLES.find((each) => each === role)
    if (!known || typeof content !== 'string')
      throw new TaskError(`${what}[${i}]: expected { "role": ${ROLES.join(' or ')}, "content": text }, got ${describe(message)}`)
    return { role: known, content }
  })
}

/** A random order of 0 … count - 1 (Fisher and Yates). */
function shuffled(count: number, seed: number): number[] {
  const next = random(seed)
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}

function named<T>(task: Task, { data, limit }: ItemOptions, item: (record: DataRecord) => T): (T & Named)[] {
  const records = data.flatMap((file) => readRecords(file, task.columns)).filter((record) => isWanted(task, record))
  if (records.length === 0) throw new TaskError(`${task.name}: expected records for which "where" is true, found none`)
  const seen = new Set<string>()
  return records.slice(0, limit).map((record, i) => {
    const { fields, place } = record
    const id = task.id?.text(fields, place).trim() || String(i)
    if (seen.has(id)) throw new TaskError(`${place}: expected different ids, got ${JSON.stringify(id)} twice`)
    seen.add(id)
    return { ...item(record), id, group: task.group?.text(fields, place) }
  })
}

function isWanted({ where }: Task, { fields, place }: DataRecord): boolean {
  const value = where?.value(fields, place) ?? true
  if (typeof value !== 'boolean') throw new TaskError(`${place}: expected "where" to be true or false, got ${describe(value)}`)
  return value
}

/** What stands before the prompt of a record: the preface, and solved examples. */
function shotsBefore(
  task: Asking | ChoicesTask | LastWordTask,
  { shots: files = [] }: ItemOptions,
  target: (record: DataRecord) => string,
): (record: DataRecord) => string {
  const { shots, preface } = task
  const examples = shots ? examplesOf(shots, files, task) : []
  const text = (record: DataRecord) => task.prompt.text(record.fields, record.place) + target(record) + shots!.separator
  return (record) => {
    const matching =
      shots?.match === undefined ? examples : examples.filter(({ fields }) => fields[shots.match!] === record.fields[shots.match!])
    if (shots && matching.length < shots.count)
      throw new TaskError(
        `${record.place}: expected ${shots.count} solved examples${shots.match ? ` of the same ${shots.match}` : ''}, found ${matching.length}`,
      )
    const own = matching.slice(0, shots?.count ?? 0).map(text)
    return (preface?.text(record.fields, record.place) ?? '') + own.join('')
  }
}

function examplesOf(shots: Shots, files: readonly DataFile[], task: Pick<Task, 'name' | 'columns'>): DataRecord[] {
  if (files.length === 0)
    throw new TaskError(`${task.name}: expected a file of solved examples for ${shots.count} shots; name it with --shots-data`)
  return files.flatMap((file) => readRecords(file, task.columns))
}
