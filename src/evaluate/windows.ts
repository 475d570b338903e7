/**
 * How a text that is longer than the context is cut for its perplexity. Every id is predicted once (strided without overlap: all but the
 * first of each window); the rules differ in how much text an id
 * has before it. `harness`: EleutherAI's lm-evaluation-harness (utils.get_rolling_token_windows). `strided`: the guide "Perplexity of
 * fixed-length models" of Hugging Face's transformers.
 */

export interface WindowRule {
  rule: 'harness' | 'strided'
  /** Most ids in front of a predicted id. Default: the context. */
  length?: number
  /** harness: least ids of the text in front of each predicted id after the first window, from 1. Default 1. */
  overlap?: number
  /** strided: how far a window is moved, from 1 to `length`. Default: half the length, rounded down. */
  stride?: number
}

/** Ids of which those from `from` on are predicted. */
export interface Window {
  readonly ids: readonly number[]
  readonly from: number
}

/**
 * @param prefix what stands before the text: its BOS, or another id that the first id of the text is predicted from
 * @param length most ids in front of a predicted id
 */
export function harnessWindows(text: readonly number[], prefix: readonly number[], length: number, overlap = 1): Window[] {
  if (text.length === 0) return []
  const step = length - overlap + 1
  let done = Math.min(length - prefix.length + 1, text.length)
  const windows: Window[] = [{ ids: [...prefix, ...text.slice(0, done)], from: prefix.length }]
  while (done < text.length) {
    const end = Math.min(text.length, done + step)
    // A last window that is short is filled with text before it.
    const ids = text.slice(Math.max(0, end - length - 1), end)
    windows.push({ ids, from: ids.length - (end - done) })
    done = end
  }
  return windows
}

/** @param ids the text with its BOS, if it has one; the first id is not predicted */
export function stridedWindows(ids: readonly number[], length: number, stride: number): Window[] {
  const windows: Window[] = []
  let done = 1
  for (let begin = 0; done < ids.length; begin += stride) {
    const end = Math.min(begin + length, ids.length)
    const from = Math.max(1, done - begin)
    if (begin + from < end) windows.push({ ids: ids.slice(begin, end), from })
    done = end
  }
  return windows
}
