/**
 * Removes what trainers and wrappers put around the published tensor names: `module.` (data parallel), `_orig_mod.` (torch.compile),
 * `base_model.model.` (adapters that were merged), names of the wrapped model.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { formOf } from '../architecture/families.ts'
import type { Checkpoint } from './checkpoint.ts'

/** Wrappers that may stand around any part of a model. */
const WRAPPERS = /(?<=^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g

/** The checkpoint with the names that its family publishes. Unchanged where names would collide or nothing stands around them. */
export function withModelNames(checkpoint: Checkpoint, architecture: Architecture): Checkpoint {
  const table = formOf(architecture)?.tensors
  if (!table || checkpoint.names) return checkpoint
  const names = [...checkpoint.tensors.keys()]
  const inner = names.map((name) => name.replace(WRAPPERS, ''))
  const outer = outerPrefix(inner, table.whole.embed!, table.prefixes)
  const plain = inner.every((name) => name.startsWith(outer)) ? inner.map((name) => name.slice(outer.length)) : inner
  if (plain.every((name, i) => name === names[i]) || new Set(plain).size < names.length) return checkpoint
  const tensors = new Map([...checkpoint.tensors.values()].map((entry, i) => [plain[i]!, { ...entry, name: plain[i]! }]))
  return { ...checkpoint, tensors }
}

/** What stands before the names of the family: found at the one tensor that ends like its embedding. */
function outerPrefix(names: readonly string[], embed: string, prefixes: readonly string[]): string {
  if (prefixes.some((prefix) => names.includes(prefix + embed))) return ''
  const found = names.filter((name) => name.endsWith(`.${embed}`))
  if (found.length !== 1) return ''
  const before = found[0]!.slice(0, -embed.length)
  const known = [...prefixes].sort((a, b) => b.length - a.length).find((prefix) => before.endsWith(`.${prefix}`))
  return before.slice(0, before.length - (known?.length ?? 0))
}
