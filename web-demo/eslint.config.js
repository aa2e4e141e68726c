import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/", "public/artifacts/", "public/ort/"] },
  ...tseslint.configs.strict,
  {
    rules: {
      // Indices into typed arrays within bounds that the loop has just checked.
      "@typescript-eslint/no-non-null-assertion": "off",
      eqeqeq: "error",
      "no-console": "error",
    },
  },
);
