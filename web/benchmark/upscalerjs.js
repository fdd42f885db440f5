/** UpscalerJS in the page: `peer(name)` gives a function, picture file → RGB pixels. */
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import medium from "@upscalerjs/esrgan-medium/4x";
import slim from "@upscalerjs/esrgan-slim/4x";
import Upscaler from "upscaler";

const MODELS = { slim, medium };

window.peer = async (name) => {
  setWasmPaths("/tfjs/");
  await tf.setBackend("wasm");
  await tf.ready();
  const upscaler = new Upscaler({ model: { ...MODELS[name], path: `/esrgan-${name}/model.json` } });
  return async (url) => {
    const image = Object.assign(new Image(), { src: url });
    await image.decode();
    const tensor = await upscaler.upscale(image, { output: "tensor" });
    const [height, width] = tensor.shape;
    const values = await tensor.data();
    tensor.dispose();
    const data = new Uint8ClampedArray(width * height * 4).fill(255); // rounds and clips
    for (let i = 0, to = 0; i < values.length; i += 3, to += 4) for (let band = 0; band < 3; band++) data[to + band] = values[i + band];
    return { width, height, data, backend: tf.getBackend() };
  };
};
