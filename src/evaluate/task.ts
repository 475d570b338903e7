/**
 * The description of a task: which kind of measurement, which prompts and answers out of which fields of a record. docs/evaluation.md explains
 * every field. Descriptions are untrusted JSON; what is wrong names the file and the field.
 */
import { Fields } from '../json/fields.ts'
import { describe, type Json } from '../json/json.ts'
import { TaskError } from './errors.ts'
import { EXTRACTIONS, type Extraction, regexExtraction } from './extract.ts'
import { type Evaluated, expression, type Rendered, regex, template } from './templates.ts'
import type { WindowRule } from './windows.ts'

interface Common {
  readonly name: string
  /** Data files, relative to the description. Empty: they are given when the task is run. */
  readonly data: readonly string[]
  /** Names of the columns of CSV files without a header line. */
  readonly columns: readonly string[] | undefined
  /** A name of each record in the results; default: its number from 0. */
  readonly id: Rendered | undefined
  /** Scores are also given by group. */
  readonly group: Rendered | undefined
  /** Records for which this is not true are left out. */
  readonly where: Evaluated | undefined
  /** The description as it was given, for the results. */
  readonly source: Json
}

/** Solved examples before each prompt. */
export interface Shots {
  readonly data: readonly string[]
  readonly count: number
  readonly separator: string
  /** Only examples whose field is that of the record. */
  readonly match: string | undefined
}

interface Prompted extends Common {
  /** Before the examples and the prompt. */
  readonly preface: Rendered | undefined
  readonly prompt: Rendered
  readonly shots: Shots | undefined
}

export interface ChoicesTask extends Prompted {
  readonly kind: 'choices' | 'pairs'
  readonly choices: (variables: Json, place: string) => string[]
  /** An index from 0, or the text of a choice. */
  readonly answer: Evaluated
  /** Between prompt and choice. */
  readonly delimiter: string
}

export interface LastWordTask extends Prompted {
  readonly kind: 'last-word'
  /** What is predicted, with the blank before it. */
  readonly target: Rendered
}

export interface RollingTask extends Common, WindowRule {
  readonly kind: 'rolling'
  readonly text: Rendered
  /** The text whose words and bytes are counted, where the model reads another one. */
  readonly counted: Rendered
  /** All records become one text with this between them. */
  readonly join: string | undefined
}

/** How answers are generated. */
export interface Asking extends Prompted {
  readonly as: 'chat' | 'completion'
  /** The whole conversation, in place of `prompt`. */
  readonly messages: Evaluated | undefined
  readonly system: Rendered | undefined
  /** Answers to choose from, the right one first; the prompt gets them shuffled as `options`, and `answer` is the letter of the right one. */
  readonly options: Evaluated | undefined
  readonly stop: readonly string[]
  readonly maxTokens: number | undefined
  readonly temperature: number | undefined
  readonly topP: number | undefined
  readonly repeats: number
}

export interface GenerateTask extends Asking {
  readonly kind: 'generate'
  /** Tried in this order. */
  readonly extract: readonly Extraction[]
  readonly answer: Evaluated | undefined
  readonly compare: 'number' | 'text'
  /** What a solved example answers; default: `answer`. */
  readonly shotAnswer: Rendered | undefined
}

export interface CodeTask extends Asking {
  readonly kind: 'code'
  /** The name of the function that the program must define; an answer that defines it replaces the prompt's head. */
  readonly entry: Rendered | undefined
  /** The whole program out of the record and `completion`; it must end with exit code 0. */
  readonly program: Rendered
}

export interface RubricTask extends Asking {
  readonly kind: 'rubric'
  /** A list of { criterion, points }. */
  readonly rubrics: Evaluated
}

export type AskingTask = GenerateTask | CodeTask | RubricTask
export type Task = ChoicesTask | LastWordTask | RollingTask | AskingTask

const COMMON = ['name', 'kind', 'data', 'columns', 'id', 'group', 'where', 'about']
const PROMPTED = [...COMMON, 'preface', 'prompt', 'shots']
const ASKING = [...PROMPTED, 'as', 'messages', 'system', 'options', 'stop', 'maxTokens', 'temperature', 'topP', 'repeats']
const KINDS: Record<Task['kind'], { fields: readonly string[]; read: (f: TaskFields) => Task }> = {
  choices: { fields: [...PROMPTED, 'choices', 'answer', 'delimiter'], read: readChoices },
  pairs: { fields: [...PROMPTED, 'good', 'bad', 'delimiter'], read: readPairs },
  'last-word': { fields: [...PROMPTED, 'target'], read: readLastWord },
  rolling: { fields: [...COMMON, 'text', 'counted', 'join', 'rule', 'length', 'overlap', 'stride'], read: readRolling },
  generate: { fields: [...ASKING, 'extract', 'answer', 'compare', 'shotAnswer'], read: readGenerate },
  code: { fields: [...ASKING, 'entry', 'program'], read: readCode },
  rubric: { fields: [...ASKING, 'rubrics'], read: readRubric },
}

/** @throws FieldError, TaskError */
export function readTask(value: unknown, file: string): Task {
  const f = new TaskFields(value, file)
  const { fields, read } = f.choice('kind', KINDS)
  const unknown = Object.keys(f.object).find((key) => !fields.includes(key))
  if (unknown !== undefined) f.fail(unknown, `a task of the kind "${f.string('kind')}" has no such field; it has ${fields.join(', ')}`)
  return read(f)
}

class TaskFields extends Fields {
  template(key: string, otherwise?: string): Rendered {
    return template(this.string(key, otherwise), this.#name(key))
  }

  optionalTemplate(key: string): Rendered | undefined {
    return this.has(key) ? this.template(key) : undefined
  }

  expression(key: string, otherwise?: string): Evaluated {
    return expression(this.string(key, otherwise), this.#name(key))
  }

  optionalExpression(key: string): Evaluated | undefined {
    return this.has(key) ? this.expression(key) : undefined
  }

  /** A list of strings, or one; empty when absent. */
  strings(key: string): string[] {
    const value = this.raw(key)
    if (value === undefined) return []
    if (typeof value === 'string') return [value]
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
    return this.expected(key, 'a string or an array of strings', value)
  }

  optionalNumber(key: string): number | undefined {
    return this.has(key) ? this.notNegative(key) : undefined
  }

  optionalCount(key: string): number | undefined {
    return this.has(key) ? this.size(key) : undefined
  }

  #name(key: string): string {
    return `${this.file}: ${key}`
  }
}

function common(f: TaskFields) {
  const columns = f.strings('columns')
  return {
    name: f.string('name'),
    data: f.strings('data'),
    columns: columns.length > 0 ? columns : undefined,
    id: f.optionalTemplate('id'),
    group: f.optionalTemplate('group'),
    where: f.optionalExpression('where'),
    source: f.object,
  }
}

function prompted(f: TaskFields, otherwise?: string) {
  const shots = f.inner('shots')
  return {
    ...common(f),
    preface: f.optionalTemplate('preface'),
    prompt: f.template('prompt', otherwise),
    shots: shots && {
      data: shots.strings('data'),
      count: shots.size('count', undefined, 1000),
      separator: shots.string('separator', '\n\n'),
      match: shots.has('match') ? shots.string('match') : undefined,
    },
  }
}

function readChoices(f: TaskFields): ChoicesTask {
  const raw = f.raw('choices')
  const own = Array.isArray(raw) ? f.strings('choices').map((each, i) => template(each, `${f.file}: choices[${i}]`)) : undefined
  const list = own ? undefined : f.expression('choices')
  const choices = (variables: Json, place: string) =>
    own ? own.map((each) => each.text(variables, place)) : textsOf(list!.value(variables, place), `${place}: the choices of the task`)
  return { ...prompted(f), kind: 'choices', choices, answer: f.expression('answer'), delimiter: f.string('delimiter', ' ') }
}

function readPairs(f: TaskFields): ChoicesTask {
  const [good, bad] = [f.template('good'), f.template('bad')]
  const choices = (variables: Json, place: string) => [good.text(variables, place), bad.text(variables, place)]
  const answer = expression('0', 'answer')
  return { ...prompted(f, ''), kind: 'pairs', choices, answer, delimiter: f.string('delimiter', '') }
}

function readLastWord(f: TaskFields): LastWordTask {
  return { ...prompted(f), kind: 'last-word', target: f.template('target') }
}

function readRolling(f: TaskFields): RollingTask {
  const text = f.template('text', '{{ text }}')
  const [length, overlap, stride] = ['length', 'overlap', 'stride'].map((key) => f.optionalCount(key))
  const rule = f.choice('rule', { harness: 'harness', strided: 'strided' } as const, 'harness')
  if (rule === 'harness' && stride !== undefined) f.fail('stride', 'belongs to the rule "strided"; the rule "harness" has "overlap"')
  if (rule === 'strided' && overlap !== undefined) f.fail('overlap', 'belongs to the rule "harness"; the rule "strided" has "stride"')
  if (length !== undefined && (overlap ?? stride ?? 1) > length) f.fail('length', `is shorter than ${overlap ? 'overlap' : 'stride'}`)
  const join = f.has('join') ? f.string('join') : undefined
  return { ...common(f), kind: 'rolling', text, counted: f.optionalTemplate('counted') ?? text, join, rule, length, overlap, stride }
}

function asking(f: TaskFields, as: 'chat' | 'completion' = 'chat') {
  const messages = f.optionalExpression('messages')
  if (messages && f.has('prompt')) f.fail('messages', 'stands in place of "prompt"; give one of them')
  const chosen = f.choice('as', { chat: 'chat', completion: 'completion' } as const, as)
  if (chosen === 'completion' && (messages || f.has('system'))) f.fail('as', 'a completion has a prompt, and neither messages nor system')
  return {
    ...prompted(f, messages ? '' : undefined),
    as: chosen,
    messages,
    system: f.optionalTemplate('system'),
    options: f.optionalExpression('options'),
    stop: f.strings('stop'),
    maxTokens: f.optionalCount('maxTokens'),
    temperature: f.optionalNumber('temperature'),
    topP: f.optionalNumber('topP'),
    repeats: f.size('repeats', 1, 10_000),
  }
}

function readGenerate(f: TaskFields): GenerateTask {
  const own = asking(f)
  const answer = f.optionalExpression('answer')
  if ((answer === undefined) === (own.options === undefined))
    f.fail('answer', own.options ? 'is the letter of the right one of "options"; leave it out' : 'missing; expected an expression')
  return {
    ...own,
    kind: 'generate',
    extract: readExtract(f),
    answer,
    compare: f.choice('compare', { number: 'number', text: 'text' } as const, 'text'),
    shotAnswer: f.optionalTemplate('shotAnswer'),
  }
}

/** A name of EXTRACTIONS or { regex, group, which }, or several of them. */
function readExtract(f: TaskFields): Extraction[] {
  const raw = f.raw('extract') ?? 'text'
  const list = Array.isArray(raw) ? raw : [raw]
  if (list.length === 0) f.expected('extract', 'at least one way', raw)
  return list.map((one, i) => {
    const field = Array.isArray(raw) ? `extract[${i}]` : 'extract'
    if (typeof one === 'string') {
      if (Object.hasOwn(EXTRACTIONS, one)) return EXTRACTIONS[one as keyof typeof EXTRACTIONS]
      return f.expected(field, `${Object.keys(EXTRACTIONS).join(', ')} or { "regex": … }`, one)
    }
    const inner = new Fields(one, f.file, field)
    const pattern = regex(inner.string('regex'), 'gs', `${f.file}: ${field}.regex`)
    return regexExtraction(pattern, inner.integer('group', 1), inner.choice('which', { first: 'first', last: 'last' } as const, 'last'))
  })
}

function readCode(f: TaskFields): CodeTask {
  return { ...asking(f), kind: 'code', entry: f.optionalTemplate('entry'), program: f.template('program') }
}

function readRubric(f: TaskFields): RubricTask {
  return { ...asking(f), kind: 'rubric', rubrics: f.expression('rubrics') }
}

/** The texts of a list; numbers and truth values are written as text. @throws TaskError */
export function textsOf(value: unknown, what: string): string[] {
  const ok = Array.isArray(value) && value.every((item) => ['string', 'number', 'boolean'].includes(typeof item))
  if (!ok) throw new TaskError(`${what}: expected a list of texts, got ${describe(value)}`)
  return value.map(String)
}
