/** `--tools`: loads the functions that a model may call, from a module or from this package. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Tool } from '../../chat/messages.ts'
import { UsageError } from '../support/terminal.ts'

/** Tools of this package. */
const packaged: Record<string, () => Promise<Tool[]>> = {
  calculator: async () => [(await import('../../train/abacus/calculator.ts')).calculatorTool],
}

/** Accepts `calculator`, or a module whose exports are tools, one by one or in the arrays `default` or `tools`. */
export async function loadTools(file: string): Promise<Tool[]> {
  if (Object.hasOwn(packaged, file)) return packaged[file]!()
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  } catch (error) {
    if (!existsSync(file))
      throw new UsageError(`--tools ${file}: there is no such file; expected a module, or ${Object.keys(packaged).join(', ')}`)
    throw new UsageError(`--tools ${file}: ${(error as Error).message}`)
  }
  const exported = Array.isArray(module.default) ? module.default : Array.isArray(module.tools) ? module.tools : Object.values(module)
  const tools = exported.filter((value): value is Tool => typeof value === 'object' && value !== null && 'execute' in value)
  if (tools.length === 0)
    throw new UsageError(`--tools ${file}: exports no tools; a tool is { name, description, parameters, execute(args) {…} }`)
  for (const { name, execute, parameters } of tools) {
    if (typeof name !== 'string' || name === '') throw new UsageError(`--tools ${file}: a tool has no name`)
    if (typeof execute !== 'function') throw new UsageError(`--tools ${file}: execute of ${name} is not a function`)
    if (parameters !== undefined && (typeof parameters !== 'object' || parameters === null))
      throw new UsageError(`--tools ${file}: parameters of ${name} are not a JSON schema`)
  }
  const twice = tools.find(({ name }, i) => tools.findIndex((other) => other.name === name) < i)
  if (twice) throw new UsageError(`--tools ${file}: two tools are called ${twice.name}`)
  return tools
}
