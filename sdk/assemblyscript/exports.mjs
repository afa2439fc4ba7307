// A transform of asc: gives exports the names that the canonical ABI has for them, which are no identifiers.
// `sample` becomes `traceweir:plugin/head-sampler@0.1.0#sample`, and `sampleRead` what the host calls when it has read the
// result.

const interfaces = {
  describe: "lifecycle",
  configure: "lifecycle",
  process: "span-processor",
  sample: "head-sampler",
  level: "tail-sampler",
  decide: "tail-sampler",
  routes: "router",
  route: "router",
};

// asc gives it `binaryen` and more.
export default class Exports {
  afterCompile(module) {
    const names = [];
    for (let i = 0; i < module.getNumExports(); i++) {
      const { name, value } = this.binaryen.getExportInfo(module.getExportByIndex(i));
      names.push([name, value]);
    }
    for (const [name, value] of names) {
      const plain = name.replace(/Read$/, "");
      if (!(plain in interfaces)) continue;
      const full = `traceweir:plugin/${interfaces[plain]}@0.1.0#${plain}`;
      module.removeExport(name);
      module.addFunctionExport(value, name === plain ? full : `cabi_post_${full}`);
    }
  }
}
