const { join } = require('node:path');
const { TsconfigPathsPlugin } = require('tsconfig-paths-webpack-plugin');
const externals = require('webpack-node-externals');

const root = join(__dirname, '..', '..');

/** As the apps are built: the same compiler and target, packages left outside, nothing minified. */
module.exports = {
  mode: 'production',
  target: 'node',
  context: root,
  entry: {
    contender: join(__dirname, 'contender-process.ts'),
    'tool-runner': join(root, 'libs/tools/src/runner/main.ts'),
  },
  output: {
    path: join(root, 'dist', 'bench'),
    filename: '[name].js',
    devtoolModuleFilenameTemplate: '[absolute-resource-path]',
  },
  devtool: 'source-map',
  optimization: { minimize: false },
  externalsPresets: { node: true },
  externals: [externals({ modulesDir: join(root, 'node_modules') })],
  resolve: {
    extensions: ['.ts', '.js'],
    plugins: [new TsconfigPathsPlugin({ configFile: join(root, 'tsconfig.json') })],
  },
  module: {
    rules: [
      {
        test: /\.ts$/,
        loader: 'swc-loader',
        options: {
          jsc: {
            parser: { syntax: 'typescript', decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
            target: 'es2022',
            loose: false,
            keepClassNames: true,
          },
        },
      },
    ],
  },
};
