/**
 * Coding agents against a server that plays a harmony model: it runs one command with the tool of the agent, and answers with its output. A real
 * model of a size that fits here is too small for their prompts of 10,000 tokens. Prints a table in Markdown.
 *
 *     mkdir agents && npm install --prefix agents @openai/codex @anthropic-ai/claude-code opencode-ai
 *     node bench/clients/agents.ts agents
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
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
}

function answer(prompt: string): string {
  if (prompt.lastIndexOf('tool-ran-84') > prompt.lastIndexOf(COMMAND) + 10) return analysis('It ran.') + final('The answer is tool-ran-84.')
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
async function row(name: string, version: string, what: string, command: string[], env: Record<string, string> = {}): Promise<void> {
  requests.clear()
  const work = mkdtempSync(join(home, 'work-'))
  const output = await new Promise<string>((done) => {
    const [program, ...args] = command
    const child = spawn(join(directory, 'node_modules', '.bin', program!), args, {
      cwd: work,
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
  const ok = output.includes('The answer is tool-ran-84')
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
  await row('Codex', codex, 'responses', ['codex', ...flags, question], { CODEX_HOME: codexHome })
  const oss = { CODEX_HOME: join(home, 'oss'), CODEX_OSS_BASE_URL: `${server.url}/v1` }
  mkdirSync(oss.CODEX_HOME)
  await row('Codex', codex, '--oss (Ollama)', ['codex', ...flags, '--oss', '--local-provider', 'ollama', '-m', 'scripted', question], oss)
}
const claude = versionOf('@anthropic-ai/claude-code')
if (claude)
  await row('Claude Code', claude, '-p', ['claude', '-p', question, '--allowedTools', 'Bash'], {
    ANTHROPIC_BASE_URL: server.url,
    ANTHROPIC_AUTH_TOKEN: 'none',
    ANTHROPIC_MODEL: 'scripted',
    ANTHROPIC_SMALL_FAST_MODEL: 'scripted',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  })
const opencode = versionOf('opencode-ai')
if (opencode) {
  const options = { baseURL: `${server.url}/v1`, apiKey: 'none' }
  const provider = { here: { npm: '@ai-sdk/openai-compatible', name: 'here', options, models: { scripted: { name: 'scripted' } } } }
  mkdirSync(join(home, '.config', 'opencode'), { recursive: true })
  writeFileSync(join(home, '.config', 'opencode', 'opencode.json'), JSON.stringify({ provider, autoupdate: false }))
  await row('opencode', opencode, 'run', ['opencode', 'run', '-m', 'here/scripted', question])
}

await server.close(0)
console.log('| client | what | result | requests |\n|-|-|-|-|')
for (const cells of rows) console.log(`| ${cells.join(' | ')} |`)
process.exit(rows.some(([, , result]) => result === 'fails') ? 1 : 0)
