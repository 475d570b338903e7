/** The TypeScript files of the project and their imports, for the scripts that check them. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = dirname(dirname(fileURLToPath(import.meta.url)))

export interface SourceFile {
  /** Relative to the root, with slashes. */
  path: string
  text: string
  imports: Import[]
}

export interface Import {
  specifier: string
  /** Path relative to the root for relative imports, else null. */
  target: string | null
  /** Erased by the compiler. */
  typeOnly: boolean
  /** `import()` inside code. */
  lazy: boolean
  line: number
}

/** All .ts files below a folder of the root, in order of their paths. */
export function sourcesIn(folder: string, base: string = root): SourceFile[] {
  const entries = readdirSync(join(base, folder), { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(base, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort()
    .map((path) => parse(path, readFileSync(join(base, path), 'utf8')))
}

export function parse(path: string, text: string): SourceFile {
  const code = withoutComments(text)
  const imports: Import[] = []
  const add = (match: RegExpMatchArray, specifier: string, typeOnly: boolean, lazy: boolean) =>
    imports.push({
      specifier,
      target: specifier.startsWith('.') ? join(dirname(path), specifier).replaceAll('\\', '/') : null,
      typeOnly,
      lazy,
      line: code.slice(0, match.index! + match[0].length).split('\n').length,
    })
  for (const match of code.matchAll(/^\s*(?:import|export)\s+(type\s)?([^'";]*?\sfrom\s+)?['"]([^'"]+)['"]/gm))
    add(match, match[3]!, match[1] !== undefined || onlyTypes(match[2] ?? ''), false)
  for (const match of code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)) add(match, match[1]!, false, true)
  return { path, text, imports }
}

// `import { type A, type B } from` carries nothing at run time.
function onlyTypes(clause: string): boolean {
  const names = /\{([^}]*)\}/.exec(clause)?.[1]
  if (names === undefined || /^\s*\w/.test(clause)) return false
  const parts = names.split(',').filter((part) => part.trim())
  return parts.length > 0 && parts.every((part) => /^\s*type\s/.test(part))
}

/** The text with comments blanked out, line numbers kept. Strings are kept as they are. */
export function withoutComments(text: string): string {
  return text.replace(/(['"`])(?:\\.|(?!\1)[^\\])*\1|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (found) =>
    found.startsWith('/') ? found.replace(/[^\n]/g, ' ') : found,
  )
}
