// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/onnx_seeds.h"

static const struct {
  const char *name;
  bool assumed;
  const char *text;
} seeds[] = {
    {"qlinear", false,
     "input x f 1,2,6,6\n"
     "const xs f - 0.05\nconst xz u8 - 128\n"
     "node QuantizeLinear x,xs,xz q\n"
     "const w s8 3,2,3,3 ~7\nconst ws f 3 0.01,0.02,0.015\nconst wz s8 3 0\nconst b s32 3 10,-20,30\n"
     "const cs f - 0.1\nconst cz u8 - 100\n"
     "node QLinearConv q,xs,xz,w,ws,wz,cs,cz,b c kernel_shape=3,3 pads=1,1,1,1 strides=2,2\n"
     "node Flatten c flat axis=1\n"
     "const m s8 27,4 ~9\nconst ms f - 0.03\nconst mz s8 - 0\nconst ys f - 0.2\nconst yz u8 - 7\n"
     "node QLinearMatMul flat,cs,cz,m,ms,mz,ys,yz r\n"
     "node DequantizeLinear r,ys,yz y\n"
     "output y\n"},
    {"qdq", false,
     "input x f 1,3,5,5\n"
     "const s f - 0.02\nconst z s8 - -3\nconst w s8 2,3,2,2 ~100\nconst ws f 2 0.011,0.02\nconst wz s8 2 0\n"
     "const b f 2 0.3,-0.7\n"
     "node QuantizeLinear x,s,z xq\nnode DequantizeLinear xq,s,z xd\n"
     "node DequantizeLinear w,ws,wz wd axis=0\n"
     "node Conv xd,wd,b c kernel_shape=2,2 strides=1,1 dilations=1,1 group=1\n"
     "node Relu c r\n"
     "const os f - 0.04\nconst oz s8 - -128\n"
     "node QuantizeLinear r,os,oz rq\nnode DequantizeLinear rq,os,oz rd\n"
     "node MaxPool rd p kernel_shape=2,2 strides=2,2\n"
     "node GlobalAveragePool p g\nnode QuantizeLinear g,os,oz gq\nnode DequantizeLinear gq,os,oz y\n"
     "output y\n"},
    {"conv_integer", false,
     "input x u8 1,2,5,5\n"
     "const w s8 3,2,3,3 ~20\nconst xz u8 - 3\n"
     "const mul f 1,3,1,1 37,41,29\nconst add f 1,3,1,1 -900,128,5000\nconst div f - 256\nconst lo f - 0\n"
     "const hi f - 255\n"
     "node ConvInteger x,w,xz c kernel_shape=3,3 pads=1,1,1,1\n"
     "node Cast c f to=1\nnode Mul f,mul m\nnode Add m,add a\nnode Div a,div d\nnode Floor d e\nnode Clip e,lo,hi y\n"
     "output y\n"},
    {"integer", false,
     "input x f 1,1,6,6\n"
     "const w f 4,1,3,3 ~50\nconst k f 1,4,1,1 12,9,31,7\nconst l f 1,4,1,1 100,-5000,37,0\nconst d f - 1024\n"
     "node Pad x p pads=0,0,1,1,0,0,1,1 mode=constant value=0.0\n"
     "node Conv p,w c kernel_shape=3,3 strides=1,1 weight_bits=8\n"
     "node Mul c,k m\nnode Add m,l a\nnode Div a,d v\nnode Floor v f\nnode Clip f y min=0.0 max=255.0\n"
     "node AveragePool y ap kernel_shape=2,2 strides=2,2\nnode Floor ap q\n"
     "const shape s64 2 1,-1\nnode Reshape q,shape flat\n"
     "const g f 36,2 ~60\nconst gb f 2 700,-3\nnode Gemm flat,g,gb z alpha=1.0 beta=1.0\n"
     "output z\n"},
    {"residual", false,
     "input x f 1,2,4,4\n"
     "const w f 2,2,3,3 ~9\nconst k f - 21\nconst d f - 512\n"
     "node Conv x,w c kernel_shape=3,3 pads=1,1,1,1\n"
     "node Mul c,k m\nnode Div m,d v\nnode Floor v f\nnode Clip f r min=0.0 max=15.0\n"
     "node Add r,x s in1_rq=1 in1_mul=13 in1_add=64 in1_shift=3 in2_rq=1 in2_mul=5 in2_add=0 in2_shift=2 "
     "out_rq=1 out_mul=1 out_add=0 out_shift=1 out_n_levels=256\n"
     "node Add s,x t\nnode Clip t y min=0.0 max=255.0\n"
     "output y\n"},
    {"qonnx", false,
     "input x f 1,1,6,6\n"
     "const one f - 1.0\nconst zero f - 0\nconst eight f - 8\nconst four f - 4\nconst two f - 2\n"
     "const xs f - 0.0078125\n"
     "node Quant x,xs,zero,eight q signed=1 narrow=0 rounding_mode=ROUND\n"
     "const w f 3,1,3,3 ~1\nnode Quant w,one,zero,two wq signed=1 narrow=1 rounding_mode=ROUND\n"
     "node Conv q,wq c kernel_shape=3,3 pads=1,1,1,1\n"
     "const scale f 3 1.5,0.7,2.0\nconst bias f 3 0.1,-0.2,0.5\nconst mean f 3 0.3,0.0,-1.0\n"
     "const var f 3 0.8,1.2,2.0\n"
     "node BatchNormalization c,scale,bias,mean,var n epsilon=0.00001\n"
     "node Relu n r\nconst rs f - 0.25\nnode Quant r,rs,zero,four a signed=0 narrow=0 rounding_mode=FLOOR\n"
     "const v f 2,3,2,2 ~5\nconst half f - 0.5\nnode BipolarQuant v,half vq\n"
     "node Conv a,vq e kernel_shape=2,2 strides=2,2\n"
     "const t f 2,3 -2.0,0.0,1.5,-1.0,0.5,4.0\n"
     "node MultiThreshold e,t y out_dtype=UINT2 out_scale=1.0\n"
     "output y\n"},
    {"binary", false,
     "input x f 1,1,4,4\n"
     "const one f - 1.0\nnode Flatten x flat axis=1\nnode BipolarQuant flat,one b\n"
     "const w f 16,5 ~3\nnode BipolarQuant w,one wq\nnode MatMul b,wq m\n"
     "const t f 5,1 -1,0,2,-3,1\nnode MultiThreshold m,t c out_scale=2.0 out_bias=-1.0\n"
     "const u f 5,4 ~3\nnode BipolarQuant u,one uq\nnode MatMul c,uq z\n"
     "node ArgMax z y axis=1 keepdims=1 select_last_index=0\n"
     "output y\n"},
    {"float", true,
     "input x f 1,3,8,8\n"
     "const w f 4,3,3,3 ~9\nconst b f 4 0.5,-0.1\nconst v f 4,1,3,3 ~9\n"
     "node Conv x,w,b c kernel_shape=3,3 pads=1,1,1,1 strides=2,2\nnode Relu c r\n"
     "node Conv r,v d kernel_shape=3,3 pads=1,1,1,1 group=4\nnode LeakyRelu d l alpha=0.1\n"
     "node Concat r,l cat axis=1\nnode MaxPool cat p kernel_shape=2,2 strides=2,2 ceil_mode=1\n"
     "node Transpose p t perm=0,2,3,1\nnode Transpose t u perm=0,3,1,2\n"
     "node GlobalAveragePool u g\nconst shape s64 2 0,-1\nnode Reshape g,shape f\n"
     "const m f 5,8 ~6\nconst mb f 5 0.25\nnode Gemm f,m,mb e transB=1\nnode Softmax e y axis=1\n"
     "output y\n"},
    {"shuffle", true,
     "input x f 1,4,4,4\n"
     "const w f 4,2,1,1 ~4\nnode Conv x,w c kernel_shape=1,1 group=2\nnode Relu c r\n"
     "const s1 s64 5 1,2,2,4,4\nconst s2 s64 4 1,4,4,4\n"
     "node Reshape r,s1 a\nnode Transpose a t perm=0,2,1,3,4\nnode Reshape t,s2 e\n"
     "node Add e,x s\nnode Relu s o\nnode DepthToSpace o d blocksize=2 mode=DCR\n"
     "const axes s64 2 2,3\nconst from s64 2 1,1\nconst to s64 2 7,8\nconst by s64 2 1,2\n"
     "node Slice d,from,to,axes,by y\n"
     "output y\n"},
    {"tables", false,
     "input x s8 1,2,3,3\n"
     "const s f - 0.05\nconst z s8 - 2\nconst os f - 0.00390625\nconst oz s8 - -128\n"
     "node DequantizeLinear x,s,z d\nnode Sigmoid d g\nnode QuantizeLinear g,os,oz q\n"
     "node QLinearAdd q,os,oz,x,s,z,s,z a\n"
     "node DequantizeLinear a,s,z e\nnode HardSigmoid e h alpha=0.2 beta=0.5\nnode QuantizeLinear h,os,oz hq\n"
     "const most s8 - 100\nnode Min a,most y\n"
     "output y\noutput hq\n"},
    {"joined", false,
     "input x f 1,2,3,3\n"
     "const w f 2,2,1,1 ~5\nconst d f - 8\n"
     "node Conv x,w c kernel_shape=1,1\nnode Div c,d v\nnode Floor v f\n"
     "node Clip f a min=0.0 max=15.0\nnode Clip f b min=0.0 max=255.0\nnode Concat a,b cat axis=1\n"
     "node Pad cat y pads=0,1,0,0,0,0,1,0 mode=constant\n"
     "output y\n"},
    {"matmul_integer", false,
     "input x u8 2,6\ninput v u8 2,6\n"
     "node Max x,v big\nconst w s8 6,4 ~30\nconst xz u8 - 12\nconst wz s8 - 1\nnode MatMulInteger big,w,xz,wz y\n"
     "output y\n"},
    {"signal", false,
     "input x u8 1,2,9\n"
     "const w s8 3,2,3 ~10\nconst ss f - 0.1\nconst xz u8 - 0\nconst ws f - 0.02\nconst wz s8 - 0\nconst ys f - 0.3\n"
     "node QLinearConv x,ss,xz,w,ws,wz,ys,xz c kernel_shape=3, dilations=2, pads=2,2 strides=1,\n"
     "const axes s64 1 0\n"
     "node MaxPool c p kernel_shape=3, strides=3,\nnode Squeeze p,axes y\n"
     "output y\n"},
    {"float", true,
     "input x f 1,3,6,6\n"
     "const w1 f 8,3,3,3 ~3\nconst b1 f 8 1,-2,3,0\n"
     "node Conv x,w1,b1 c1 pads=1,1,1,1\nnode Relu c1 r1\n"
     "const w2 f 8,1,3,3 0.5,-0.25,0.125,0.75\n"
     "node Conv r1,w2 c2 group=8 pads=1,1,1,1\n"
     "const g f 8 1.5,0.5,2\nconst bb f 8 0.25,-1\nconst m f 8 1,0,2\nconst v f 8 1,4,2\n"
     "node BatchNormalization c2,g,bb,m,v n2\nnode Clip n2 r2 min=0. max=60.\n"
     "node Add r2,r1 s\nnode Relu s rs\n"
     "const st s64 1 1\nconst en s64 1 99\nconst ax s64 1 2\nconst sp s64 1 2\nnode Slice rs,st,en,ax,sp part\n"
     "const pads s64 8 0,0,1,0,0,1,0,1\nnode Pad part,pads p\n"
     "node MaxPool p q kernel_shape=2,2 strides=1,1\n"
     "node AveragePool q a kernel_shape=2,2 strides=1,1\n"
     "const k f 1,9,1,1 2,0.5,1\nnode Mul a,k e\n"
     "node GlobalAveragePool e ga\nnode Flatten ga f\n"
     "const fw f 5,9 ~4\nconst fb f 5 1,-1,20\nnode Gemm f,fw,fb y transB=1\noutput y\n"},
};

const char *onnx_seed(size_t i, const char **name, bool *assumed) {
  if (i >= BF_COUNT(seeds)) return NULL;
  *name = seeds[i].name;
  *assumed = seeds[i].assumed;
  return seeds[i].text;
}
