/** The start of `lineage chat`: the meaning of the first word, options without effect, and Ctrl-C. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findPreset } from '../../architecture/presets.ts'
import type { ChatFormat } from '../../chat/messages.ts'
import { isOllamaName } from '../../hub/ollama-node.ts'
import { parseReference } from '../../hub/reference.ts'

/** The model that comes with the package. */
export const DEFAULT_MODEL = 'abacus'

/** Whether the first word names a model; otherwise it begins a question. */
export function namesModel(word: string): boolean {
  if (/^\.{0,2}\/|\/$|\.(safetensors|gguf)$/.test(word) || existsSync(join(word, 'config.json'))) return true
  const packaged = new URL(`../../../models/${encodeURIComponent(word)}/config.json`, import.meta.url)
  return (
    word === DEFAULT_MODEL ||
    existsSync(packaged) ||
    findPreset(word) !== undefined ||
    isOllamaName(word) ||
    /^[\w.-]+\/[\w.-]+$/.test(parseReference(word).id)
  )
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
  return { signal: controller.signal, redirect }
}
