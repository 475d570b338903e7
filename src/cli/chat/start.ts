/** The start of `lineage chat`: the meaning of its words and of piped text, options without effect, and Ctrl-C. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { findPreset, nearestNames, presetNames } from '../../architecture/presets.ts'
import type { ChatFormat } from '../../chat/messages.ts'
import { isPathLike } from '../../files/path-node.ts'
import { PACKAGED } from '../../hub/locate-node.ts'
import { isOllamaName } from '../../hub/ollama-node.ts'
import { parseReference } from '../../hub/reference.ts'
import { editDistance } from '../../json/names.ts'
import { UsageError } from '../support/terminal.ts'

/** The model that comes with the package. */
export const DEFAULT_MODEL = 'abacus'

/** The first lines of a conversation with it. The sizes are those of the published weights. */
export const ABOUT_DEFAULT = `abacus is a very small gpt-oss that comes with the package, so that you can try the program without a download. It only calculates
with whole numbers: ask it "What is 47 + 85?". First it thinks digit by digit (4+8+1=13: two digits and the ten carried), then it answers.
The smallest models for real conversations are downloads: HuggingFaceTB/SmolLM2-135M-Instruct (0.27 GB), Qwen3-0.6B (1.5 GB),
gpt-oss-20b (13.8 GB). For example: lineage chat Qwen3-0.6B`

/**
 * The model and the question in the words after `lineage chat`. Words in quotes are a question. One word of several must be a model, and so
 * must a word that looks like one: a mistyped name is never asked of the default model.
 * @param hasPrompt `-p` gives the question
 */
export function modelAndQuestion(words: readonly string[], hasPrompt = false): { model: string; question?: string } {
  const [first, ...others] = words
  if (first === undefined) return { model: DEFAULT_MODEL }
  if (namesModel(first)) return { model: first, question: others.length > 0 ? others.join(' ') : undefined }
  const isQuestion = /\s/.test(first) || (others.length === 0 && !hasPrompt && !looksLikeModel(first))
  if (isQuestion) return { model: DEFAULT_MODEL, question: words.join(' ') }
  throw new UsageError(
    `unknown model "${first}"; closest: ${nearestNames(first, 3, PACKAGED).join(', ')}. To ask ${DEFAULT_MODEL}: lineage chat -p "${words.join(' ')}"`,
  )
}

function namesModel(word: string): boolean {
  if (/\s/.test(word) && !existsSync(word)) return false
  if (isPathLike(word) || existsSync(join(word, 'config.json'))) return true
  const packaged = new URL(`../../../models/${encodeURIComponent(word)}/config.json`, import.meta.url)
  return (
    word === DEFAULT_MODEL ||
    existsSync(packaged) ||
    findPreset(word) !== undefined ||
    isOllamaName(word) ||
    /^[\w.-]+\/[\w.-]+$/.test(parseReference(word).id)
  )
}

/** A file, a name with digits or hyphens as models have, or the beginning of a known name. */
function looksLikeModel(word: string): boolean {
  if (existsSync(word) || /^[a-z](?=.*[\d:_-]|.*\.\w)[\w.:-]*$/i.test(word)) return true
  const letters = word.toLowerCase()
  return (
    letters.length > 2 &&
    [DEFAULT_MODEL, ...presetNames()].some(
      (name) => name.toLowerCase().startsWith(letters) || editDistance(name.toLowerCase(), letters) < 2,
    )
  )
}

/**
 * Piped text as questions. Lines that all end in a question mark are questions of their own, other text is one question.
 * @param lines `--lines`, `--no-lines` or neither
 */
export function pipedQuestions(text: string, lines?: boolean): string[] {
  const each = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const areQuestions = each.length > 1 && each.every((line) => /[?？؟]\s*$/.test(line))
  return (lines ?? areQuestions) && each.length > 0 ? each : [text]
}

/** Messages about options that this model does not support. They do not prevent an answer. */
export function withoutEffect(
  options: { effort?: string; think?: boolean; thinkBudget?: number },
  { reasoning }: ChatFormat['capabilities'],
): string[] {
  const wantsThinking = options.think === true || options.thinkBudget !== undefined
  return [
    ...(options.effort !== undefined && reasoning !== 'levels' ? ['--effort has no effect: this model has no levels of effort'] : []),
    ...(options.think === false && reasoning !== 'switch' && reasoning !== 'never'
      ? ['--no-think has no effect: this model always thinks']
      : []),
    ...(wantsThinking && reasoning === 'never' ? ['--think has no effect: this model does not think'] : []),
  ]
}

/** Ctrl-C: the first one aborts, or calls the redirected action. The second one ends the program at once. */
export function interruption() {
  const controller = new AbortController()
  let act = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new Error('interrupted'))
  }
  process.on('SIGINT', () => act())
  const redirect = (to: () => void) => {
    const before = act
    act = to
    return () => {
      act = before
    }
  }
  return { signal: controller.signal, redirect, now: () => act() }
}

const CTRL_C = 3

/** Standard input, or what stands for it. */
type Keyboard = Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }

/**
 * Keys that are typed before input is read, while a model loads: they are not echoed, and the returned function gives them to the next
 * reader. Ctrl-C calls `interrupt`.
 */
export function holdKeys(input: Keyboard, interrupt: () => void): () => void {
  if (!input.isTTY || !input.setRawMode) return () => {}
  const typed: Buffer[] = []
  const keep = (keys: Buffer | string) => {
    const bytes = Buffer.from(keys as string)
    if (bytes.includes(CTRL_C)) interrupt()
    else typed.push(bytes)
  }
  input.setRawMode(true)
  input.on('data', keep)
  return () => {
    input.off('data', keep)
    input.pause()
    input.setRawMode?.(false)
    if (typed.length > 0) input.unshift(Buffer.concat(typed))
  }
}
