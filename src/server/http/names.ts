/** Names that the server makes: ids that nobody can guess (122 random bits behind a prefix), and `system_fingerprint`. */
import { fnv1a } from '../../random/hash.ts'
import type { ModelEntry } from '../models/model.ts'

export function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`
}

/** OpenAI's chat ids have a dash. */
export function newChatId(prefix: string): string {
  return newId(prefix).replace('_', '-')
}

export const unixSeconds = (): number => Math.floor(Date.now() / 1000)

/** Changes when weights or kernels do, so that equal seeds and fingerprints mean equal texts. */
export function fingerprintOf(entry: ModelEntry): string {
  return `fp_${entry.fingerprint ?? hash(entry.id)}`
}

/** Eight hexadecimal digits. */
export const hash = (text: string): string => (fnv1a(text) >>> 0).toString(16).padStart(8, '0')
