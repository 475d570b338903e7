/**
 * Names of models on the hub as people write them: `ORG/NAME`, `hf.co/ORG/NAME`, and with the quantisation of a GGUF file behind a colon,
 * `hf.co/ORG/NAME:Q4_K_M`. Chooses the file that is meant among those of a repository. Knows no network and no disk.
 */
import { ggufFiles, splitNames } from '../checkpoint/gguf/folder.ts'

export interface Reference {
  readonly id: string
  /** What stands behind the colon: a quantisation, or the name of a GGUF file. */
  readonly gguf?: string
}

/** Splits a name; whether `id` is the id of a model is checked elsewhere. */
export function parseReference(name: string): Reference {
  const [, id = name, gguf] = /^(?:(?:https?:\/\/)?(?:hf\.co|huggingface\.co)\/)?([^:]+?)\/?(?::([\w.-]+))?$/.exec(name) ?? []
  return { id, gguf }
}

/** What is taken where nothing is asked for. */
const USUAL = 'Q4_K_M'

/**
 * The GGUF files of one model among the names of a repository: one, or all of a split set.
 * @param wanted a quantisation (any case), or the name of a file; without it Q4_K_M, or the only model there is
 * @returns the files, the first one first; or else the choices there are
 */
export function chooseGguf(names: readonly string[], wanted?: string): { files: string[] } | { choices: string[] } {
  const models = ggufFiles(names)
  const has = (word: string) => {
    const pattern = new RegExp(`(^|[-_./])${word.replace(/[.+]/g, '\\$&')}(?=[-_./]|$)`, 'i')
    const found = models.filter((name) => pattern.test(name.replace(/\.gguf$/i, '')))
    // Q4_K is no wish for Q4_K_M where the repository has both.
    const exact = found.filter((name) => new RegExp(`${word.replace(/[.+]/g, '\\$&')}(-\\d{5}-of-\\d{5})?\\.gguf$`, 'i').test(name))
    return exact.length > 0 ? exact : found
  }
  const byName = models.filter((name) => name === wanted || name === `${wanted}.gguf`)
  const found = byName.length > 0 ? byName : wanted !== undefined ? has(wanted) : models.length === 1 ? models : has(USUAL)
  if (found.length === 1) return { files: splitNames(found[0]!) }
  return { choices: found.length > 1 ? found : models }
}
