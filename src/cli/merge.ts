/** `lineage merge`: writes a model with a LoRA adapter merged into its weights. */
import type { Command } from 'commander'
import { mergeAdapter } from '../checkpoint/merge-node.ts'
import { interruptSignal, modelDirectory } from './support/model.ts'
import { transferLine } from './support/progress.ts'

export function register(program: Command): void {
  program
    .command('merge')
    .description(
      'Writes a model with an adapter (a LoRA directory of PEFT) merged into its weights, in the dtype of the model.\nWeights that the adapter does not change are copied unchanged. MXFP4 experts that it changes are written in bf16.',
    )
    .argument('<model>', 'the base: directory or name')
    .argument('<adapter>', 'directory with adapter_config.json and adapter_model.safetensors')
    .argument('<out>', 'directory to write')
    .option('--force', 'replace another model that is in OUT')
    .addHelpText('after', '\nExample:\n  lineage merge Qwen/Qwen3-8B loras/sql models/Qwen3-8B-sql')
    .action(async (model: string, adapter: string, out: string, { force }: { force?: boolean }) => {
      const line = transferLine(process.stderr, out)
      try {
        const directory = await modelDirectory(model)
        const { changed, textOnly } = await mergeAdapter(directory, adapter, out, {
          onProgress: line.update,
          signal: interruptSignal(),
          force,
        })
        line.end()
        process.stdout.write(
          `${out}: ${changed.length} weights changed${textOnly ? '; only the text part of the model was written' : ''}\n`,
        )
      } finally {
        line.end()
      }
    })
}
