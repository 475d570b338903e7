/** How functions of Python take their arguments: by position and by name, with the errors of missing and unknown ones. */
import { fail } from './limits.ts'
import { Callable, indexOf, isText, type Keywords, textOf, typeOf, type Value } from './values.ts'

/**
 * @param names the parameters, `?` after those that may be missing; after a leading `/` they have no names
 * @returns one value for each parameter, undefined where none was given
 */
export function bind(name: string, names: string, args: readonly Value[], keywords: Keywords): (Value | undefined)[] {
  const parameters = names.split(' ').filter((part) => part !== '' && part !== '/')
  const isPositional = names.startsWith('/')
  if (args.length > parameters.length) fail(`${name}() takes at most ${parameters.length} arguments (${args.length} given)`)
  const bound: (Value | undefined)[] = parameters.map((_, i) => args[i])
  for (const [keyword, value] of keywords) {
    const index = isPositional ? -1 : parameters.findIndex((parameter) => parameter.replace('?', '') === keyword)
    if (index < 0) fail(`${name}() got an unexpected keyword argument '${keyword}'`)
    if (bound[index] !== undefined) fail(`${name}() got multiple values for argument '${keyword}'`)
    bound[index] = value
  }
  parameters.forEach((parameter, i) => {
    if (bound[i] === undefined && !parameter.endsWith('?')) fail(`${name}() missing required argument '${parameter}'`)
  })
  return bound
}

/** A function with named parameters. */
export function callable(name: string, names: string, run: (...bound: (Value | undefined)[]) => Value): Callable {
  return new Callable(name, (args, keywords) => run(...bind(name, names, args, keywords)))
}

export function textArgument(value: Value | undefined, what: string): string {
  if (value === undefined || !isText(value)) return fail(`${what} must be str, not ${value === undefined ? 'nothing' : typeOf(value)}`)
  return textOf(value)
}

/** An int argument, and what counts when it is missing. */
export const intArgument = (value: Value | undefined, otherwise: number): number => (value === undefined ? otherwise : indexOf(value))

/** An argument that may be None, which counts as missing. */
export const present = (value: Value | undefined): Exclude<Value, null> | undefined => value ?? undefined
