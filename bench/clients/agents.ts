/**
 * Coding agents against a server that plays a harmony model: it runs one command with the tool of the agent, and answers with its output. A real
 * model of a size that fits here is too small for their prompts of 10,000 tokens. Prints a table in Markdown.
 *
 *     mkdir agents && npm install --prefix agents @openai/codex @anthropic-ai/claude-code opencode-ai cline @continuedev/cli
 *     python3 -m venv agents/python && agents/python/bin/pip install aider-chat
 *     node bench/clients/agents.ts agents
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createApp } from '../../src/server/http/app.ts'
import { listen } from '../../src/server/node.ts'
import { analysis, call, final, scriptedModel } from '../../test/server/scripted-app.ts'

const directory = resolve(process.argv[2] ?? 'agents')
const COMMAND = 'echo tool-ran-84'
/** The tools that agents run commands with, and what they take. */
const TOOLS: Record<string, object> = {
  exec_command: { cmd: COMMAND },
  shell_command: { command: COMMAND },
  shell: { command: ['bash', '-lc', COMMAND] },
  Bash: { command: COMMAND, description: 'Says a word' },
  bash: { command: COMMAND, description: 'Says a word' },
  execute_command: { command: COMMAND, requires_approval: false },
  run_commands: { commands: [COMMAND] },
}

function answer(prompt: string): string {
  if (prompt.lastIndexOf('tool-ran-84') > prompt.lastIndexOf(COMMAND) + 10) return analysis('It ran.') + final('The answer is tool-ran-84.')
  if (prompt.includes('into answer.txt')) return final('answer.txt\n```\n84\n```\n')
  const tool = Object.keys(TOOLS).find((name) => new RegExp(`^type ${name} = `, 'm').test(prompt))
  return tool ? analysis('I run it.') + call(tool, JSON.stringify(TOOLS[tool])) : final('The answer is 84.')
}

const { model } = scriptedModel(answer, 'harmony', { context: 4_000_000, slots: 8 })
const requests = new Set<string>()
const app = createApp({
  models: [{ id: 'scripted', listedAliases: ['gpt-oss:20b'], load: async () => model }],
  log: ({ method, path, status }) => requests.add(`${method} ${path} ${status}`),
})
const server = await listen(app, { port: 0 })
const home = mkdtempSync(join(tmpdir(), 'agents-'))
const question = 'Run the command and tell me what it said.'

const rows: string[][] = []
const ranTool = (output: string) => output.includes('The answer is tool-ran-84')
/** What a program prints. Its name is one of `node_modules/.bin`, or a path. */
function run([program, ...args]: string[], cwd: string, env: Record<string, string>): Promise<string> {
  return new Promise((done) => {
    const child = spawn(resolve(directory, 'node_modules', '.bin', program!), args, {
      cwd,
      env: { ...process.env, HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    const timer = setTimeout(() => child.kill('SIGKILL'), 120_000)
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    child.on('error', (error) => done(String(error)))
    child.on('close', () => {
      clearTimeout(timer)
      done(text)
    })
  })
}

interface Case {
  env?: Record<string, string>
  /** What shows that it worked, in what the program prints and in the files of its folder. */
  holds?: (output: string, work: string) => boolean
}

async function row(
  name: string,
  version: string,
  what: string,
  command: string[],
  { env = {}, holds = ranTool }: Case = {},
): Promise<void> {
  requests.clear()
  const work = mkdtempSync(join(home, 'work-'))
  const output = await run(command, work, env)
  const ok = holds(output, work)
  const seen = [...requests].sort().join(', ')
  rows.push([`${name} ${version}`, what, ok ? 'ok' : 'fails', ok ? seen : output.replace(/\s+/g, ' ').slice(-200)])
  process.stderr.write(`${rows.at(-1)!.join(' | ')}\n`)
}

const versionOf = (name: string): string | undefined => {
  try {
    return JSON.parse(readFileSync(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version
  } catch {
    return undefined
  }
}

const codex = versionOf('@openai/codex')
if (codex) {
  const codexHome = join(home, 'codex')
  mkdirSync(codexHome)
  writeFileSync(
    join(codexHome, 'config.toml'),
    `model = "scripted"\nmodel_provider = "here"\n[analytics]\nenabled = false\n[model_providers.here]\nname = "here"\nbase_url = "${server.url}/v1"\nwire_api = "responses"\n`,
  )
  const flags = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox']
  await row('Codex', codex, 'responses', ['codex', ...flags, question], { env: { CODEX_HOME: codexHome } })
  const oss = { CODEX_HOME: join(home, 'oss'), CODEX_OSS_BASE_URL: `${server.url}/v1` }
  mkdirSync(oss.CODEX_HOME)
  const ollama = ['--oss', '--local-provider', 'ollama', '-m', 'scripted']
  await row('Codex', codex, '--oss (Ollama)', ['codex', ...flags, ...ollama, question], { env: oss })
}
const claude = versionOf('@anthropic-ai/claude-code')
if (claude) {
  const env = {
    ANTHROPIC_BASE_URL: server.url,
    ANTHROPIC_AUTH_TOKEN: 'none',
    ANTHROPIC_MODEL: 'scripted',
    ANTHROPIC_SMALL_FAST_MODEL: 'scripted',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  }
  await row('Claude Code', claude, '-p', ['claude', '-p', question, '--allowedTools', 'Bash'], { env })
}
const opencode = versionOf('opencode-ai')
if (opencode) {
  const options = { baseURL: `${server.url}/v1`, apiKey: 'none' }
  const provider = { here: { npm: '@ai-sdk/openai-compatible', name: 'here', options, models: { scripted: { name: 'scripted' } } } }
  mkdirSync(join(home, '.config', 'opencode'), { recursive: true })
  writeFileSync(join(home, '.config', 'opencode', 'opencode.json'), JSON.stringify({ provider, autoupdate: false }))
  await row('opencode', opencode, 'run', ['opencode', 'run', '-m', 'here/scripted', question])
}
const cline = versionOf('cline')
if (cline) {
  const config = ['--data-dir', join(home, 'cline')]
  await run(['cline', 'auth', '-p', 'openai', '-k', 'none', '-m', 'scripted', '-b', `${server.url}/v1`, ...config], home, {})
  await row('Cline', cline, 'openai', ['cline', ...config, '--json', question])
}
const continued = versionOf('@continuedev/cli')
if (continued) {
  const config = join(home, 'continue.yaml')
  const given = `  - name: here\n    provider: openai\n    model: scripted\n    apiBase: ${server.url}/v1\n    apiKey: none\n    capabilities: [tool_use]\n`
  writeFileSync(config, `name: here\nversion: 1.0.0\nschema: v1\nmodels:\n${given}`)
  await row('Continue', continued, 'cn -p', ['cn', '-p', '--auto', '--config', config, question])
}
const aider = join(directory, 'python', 'bin', 'aider')
if (existsSync(aider)) {
  const version = (await run([aider, '--version'], home, {})).trim().split(/\s+/).at(-1)!
  const flags = [
    '--no-git',
    '--yes-always',
    '--no-check-update',
    '--no-show-model-warnings',
    '--analytics-disable',
    '--edit-format',
    'whole',
  ]
  const edit = ['--message', 'Write 84 into answer.txt', 'answer.txt']
  const holds = (_: string, work: string) => readFileSync(join(work, 'answer.txt'), 'utf8').trim() === '84'
  const openai = { OPENAI_API_BASE: `${server.url}/v1`, OPENAI_API_KEY: 'none' }
  await row('aider', version, 'openai/', [aider, '--model', 'openai/scripted', ...flags, ...edit], { env: openai, holds })
  const ollama = { OLLAMA_API_BASE: server.url }
  await row('aider', version, 'ollama_chat/', [aider, '--model', 'ollama_chat/scripted', ...flags, ...edit], { env: ollama, holds })
}

await server.close(0)
console.log('| client | what | result | requests |\n|-|-|-|-|')
for (const cells of rows) console.log(`| ${cells.join(' | ')} |`)
process.exit(rows.some(([, , result]) => result === 'fails') ? 1 : 0)
