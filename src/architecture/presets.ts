/**
 * The published models by name: no files needed. A preset is the published configuration, read by the same code as a file.
 */
import { closestNames } from '../json/names.ts'
import type { Architecture } from './architecture.ts'
import { configFromJson } from './config-json.ts'
import { FAMILIES } from './families.ts'

/** A published model: its name here, its Hugging Face repositories, its configuration, and where the numbers were published. */
export interface Preset {
  name: string
  repositories: string[]
  config: Record<string, unknown>
  /** Paper or file, with year. */
  source: string
  /** Tensors of the published files that are no parameters of their own. */
  alsoStored?: { what: string; bytes: number }
}

export const presets: readonly Preset[] = FAMILIES.flatMap((family) => family.presets)

/** The preset of that name or Hugging Face id; capitals do not matter. */
export function findPreset(nameOrHubId: string): Preset | undefined {
  const wanted = nameOrHubId.toLowerCase()
  return presets.find(({ name, repositories }) => [name, ...repositories].some((each) => each.toLowerCase() === wanted))
}

/** The architecture of a published model by preset name or Hugging Face id; undefined when unknown. */
export function preset(nameOrHubId: string): Architecture | undefined {
  const found = findPreset(nameOrHubId)
  return found && { ...configFromJson(found.config, found.name), name: found.name }
}

/** Why a known model cannot be run: its weights were never published. */
export function unpublished(name: string): string | undefined {
  const found = findPreset(name)
  if (found === undefined || found.repositories.length > 0) return undefined
  return `${found.name}: its weights were never published. lineage inspect and lineage compare know its sizes; nothing can be loaded or run.`
}

/** Every preset's name, in the order of the families. */
export function presetNames(): string[] {
  return presets.map(({ name }) => name)
}

/** The names of published models, and of `others`, closest to a mistyped one, best first. */
export function nearestNames(wanted: string, count = 3, others: readonly string[] = []): string[] {
  const models = [...presets, ...others.map((name) => ({ name, repositories: [] as readonly string[] }))]
  const named = new Map(models.flatMap(({ name, repositories }) => [name, ...repositories].map((each) => [each, name] as const)))
  return [...new Set(closestNames(wanted, [...named.keys()], named.size).map((each) => named.get(each)!))].slice(0, count)
}
