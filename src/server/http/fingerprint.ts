/** `system_fingerprint`: changes when weights or kernels do, so that equal seeds and fingerprints mean equal texts. */
import type { ModelEntry } from '../models/model.ts'

export function fingerprintOf(entry: ModelEntry): string {
  return `fp_${entry.fingerprint ?? hash(entry.id)}`
}

/** FNV-1a, 32 bits; names things, protects nothing. */
export function hash(text: string): string {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return (value >>> 0).toString(16).padStart(8, '0')
}
