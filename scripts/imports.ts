/**
 * Who may import whom. Fails with one line per violation: a forbidden direction, a cycle, `node:` outside of its files,
 * `navigator.gpu` outside of its file, or shared code that asks for the family of a model.
 */
import { root, type SourceFile, sourcesIn, withoutComments } from './sources.ts'

/** Small tools that every folder may import and that import nothing but each other. */
const LEAVES = ['random', 'json', 'jinja', 'drawing', 'numbers']
/**
 * Folder -> folders it may import from, besides itself and the leaves. A permission that nothing uses is deleted. The command line, the
 * app and the files directly in src put the program together: they may import everything.
 */
const MAY_IMPORT: Record<string, string[]> = {
  architecture: [],
  tokenizer: [],
  ops: ['architecture'],
  'ops/reference': ['ops', 'architecture'],
  'ops/wasm': ['ops', 'architecture'],
  'ops/webgpu': ['ops', 'architecture'],
  // The training backend shares the kernel encoder with the inference backend.
  'ops/training': ['ops', 'ops/wasm', 'architecture'],
  model: ['ops', 'architecture'],
  files: [],
  // A GGUF file names how texts are split, so its writer compares ways to split.
  checkpoint: ['architecture', 'model', 'ops', 'files', 'tokenizer'],
  hub: ['architecture', 'checkpoint', 'files'],
  engine: ['model', 'ops', 'architecture'],
  // Grammars over token ids: what a constrained answer may continue with.
  structured: ['tokenizer'],
  // Of chat, only session.ts runs answers; messages and formats know nothing of them.
  chat: ['engine', 'tokenizer', 'structured', 'answer'],
  answer: ['chat', 'engine', 'tokenizer', 'structured'],
  server: ['answer', 'chat', 'engine', 'tokenizer', 'structured'],
  ai: ['answer', 'chat', 'engine', 'tokenizer', 'structured'],
  evaluate: ['answer', 'chat', 'engine', 'tokenizer', 'files'],
  compare: ['model', 'ops', 'architecture'],
  inspect: ['model', 'ops', 'architecture'],
  // Training on its own answers draws them with the engine.
  train: ['model', 'ops', 'ops/training', 'ops/wasm', 'engine', 'architecture', 'checkpoint', 'compare', 'files', 'tokenizer', 'chat'],
  verify: ['model', 'ops', 'architecture', 'compare', 'chat', 'tokenizer', 'train'],
}
for (const leaf of LEAVES) MAY_IMPORT[leaf] = []
const ROOTS = ['cli', 'index', 'web', 'public', 'load-model', 'load-model-node', 'gpu', 'gpu-node', 'app']
/** Folders that serve every model and therefore never ask which one it is. */
const FAMILY_BLIND = ['model', 'ops', 'ops/reference', 'ops/wasm', 'ops/webgpu', 'ops/training', 'engine']
const FAMILY = /gpt[-_ ]?2|gpt[-_ ]?oss|qwen|llama|mistral|mixtral|gemma|olmo|\bmodelType\b|\btensorLayout\b/i
/** A property that carries the name of the paper it comes from. */
const PROPERTIES = /'llama3'/g
const NODE_FILES = [
  /^src\/cli\//,
  /^src\/server\/node\.ts$/,
  /^src\/(checkpoint|hub|files)\/.*-node\.ts$/,
  /^src\/(train|evaluate)\/.*-node\.ts$/,
]

export function folderOf(path: string): string {
  const [, first, second] = path.split('/')
  if (!path.startsWith('src/')) return path
  if (first === 'ops' && second && MAY_IMPORT[`ops/${second}`]) return `ops/${second}`
  return first!.replace(/\.ts$/, '')
}

/** Every broken rule of the given files, one line each. */
export function violations(files: SourceFile[]): string[] {
  const found: string[] = []
  const wasmNode = new Set<string>()
  for (const file of files) {
    const folder = folderOf(file.path)
    if (!ROOTS.includes(folder) && !MAY_IMPORT[folder]) found.push(`${file.path}: the folder "${folder}" has no rule in scripts/imports.ts`)
    for (const { specifier, target, line } of file.imports) {
      const at = `${file.path}:${line}`
      if (specifier.startsWith('node:')) {
        if (folder === 'ops/wasm') wasmNode.add(file.path)
        else if (!NODE_FILES.some((allowed) => allowed.test(file.path)))
          found.push(`${at}: ${specifier} belongs into a *-node.ts file or cli/`)
      }
      if (target === null) continue
      const to = folderOf(target)
      if (to !== folder && !LEAVES.includes(to) && !ROOTS.includes(folder) && !MAY_IMPORT[folder]?.includes(to))
        found.push(`${at}: ${folder} must not import ${to} (${specifier})`)
      if (folder === 'chat' && to === 'answer' && file.path !== 'src/chat/session.ts')
        found.push(`${at}: in chat, only session.ts may import answer (${specifier})`)
    }
    const code = withoutComments(file.text)
    if (/navigator\s*\.\s*gpu/.test(code) && file.path !== 'src/ops/webgpu/device.ts')
      found.push(`${file.path}: navigator.gpu belongs into ops/webgpu/device.ts`)
    if (FAMILY_BLIND.includes(folder)) {
      code
        .replace(PROPERTIES, (property) => ' '.repeat(property.length))
        .split('\n')
        .forEach((text, index) => {
          const name = FAMILY.exec(text)?.[0]
          if (name) found.push(`${file.path}:${index + 1}: shared code asks for "${name}"; ask for a property of the architecture`)
        })
    }
  }
  if (wasmNode.size > 1) found.push(`ops/wasm: node: imports in ${[...wasmNode].join(', ')}; one file may have them`)
  return [...found, ...cycles(files)]
}

/** Import cycles, each once. Imports of types do not count (they do not exist at run time), nor do lazy ones. */
export function cycles(files: SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const state = new Map<string, 'open' | 'done'>()
  const found = new Set<string>()
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      found.add(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`)
      return
    }
    state.set(path, 'open')
    for (const { target, lazy, typeOnly } of byPath.get(path)?.imports ?? [])
      if (target && !lazy && !typeOnly && byPath.has(target)) visit(target, [...trail, path])
    state.set(path, 'done')
  }
  for (const { path } of files) visit(path, [])
  return [...found]
}

if (import.meta.main) {
  const files = sourcesIn('src', root)
  const found = violations(files)
  for (const line of found) console.error(line)
  console.log(`imports: ${files.length} files, ${found.length} violations`)
  process.exitCode = found.length ? 1 : 0
}
