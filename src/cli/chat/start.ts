/** How `lineage chat` reads its first word, and what Ctrl-C means to it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findPreset } from '../../architecture/presets.ts'
import type { ChatFormat } from '../../chat/messages.ts'

/** The model that comes with the package. */
export const DEFAULT_MODEL = 'abacus'

/** Whether the first word is a model rather than the beginning of a question. */
export function namesModel(word: string): boolean {
  if (/^\.{0,2}\/|\/$|\.safetensors$/.test(word) || existsSync(join(word, 'config.json'))) return true
  const packaged = new URL(`../../../models/${encodeURIComponent(word)}/config.json`, import.meta.url)
  return word === DEFAULT_MODEL || existsSync(packaged) || findPreset(word) !== undefined || /^[\w.-]+\/[\w.-]+$/.test(word)
}

/** What was asked for and this model cannot do; it answers all the same. */
export function withoutEffect(
  asked: { effort?: string; think?: boolean; thinkBudget?: number },
  { reasoning }: ChatFormat['capabilities'],
): string[] {
  const wantsThinking = asked.think === true || asked.thinkBudget !== undefined
  return [
    ...(asked.effort !== undefined && reasoning !== 'levels' ? ['--effort has no effect: this model has no levels of effort'] : []),
    ...(asked.think === false && reasoning !== 'switch' && reasoning !== 'never'
      ? ['--no-think has no effect: this model always thinks']
      : []),
    ...(wantsThinking && reasoning === 'never' ? ['--think has no effect: this model does not think'] : []),
  ]
}

/** Ctrl-C: aborts once, or does what it is redirected to; the second one ends the program at once. */
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
  return { signal: controller.signal, redirect }
}
