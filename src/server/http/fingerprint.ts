/** `system_fingerprint`: changes when weights or kernels do, so that equal seeds and fingerprints mean equal texts. */
import { fnv1a } from '../../random/hash.ts'
import type { ModelEntry } from '../models/model.ts'

export function fingerprintOf(entry: ModelEntry): string {
  return `fp_${entry.fingerprint ?? hash(entry.id)}`
}

/** Eight hexadecimal digits. */
export const hash = (text: string): string => (fnv1a(text) >>> 0).toString(16).padStart(8, '0')
