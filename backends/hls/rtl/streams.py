"""Verilog of what moves words: links between layers, windows over an image, gathering and adding up.

Every word is one pixel, all its channels, channel 0 in the lowest bits. ``ce`` lets a whole layer advance by one clock.
"""

LINK = """\
// A first-in first-out store of D words; ready depends on the count only, which ends every chain of ready signals.
module link #(parameter W = 8, D = 2, ID = 0) (
    input clk, input rst,
    input [W-1:0] in_data, input in_valid, output in_ready,
    output [W-1:0] out_data, output out_valid, input out_ready
);
  localparam A = D > 1 ? $clog2(D) : 1;
  (* ram_style = "distributed" *) reg [W-1:0] store [0:D-1];
  reg [A-1:0] head, tail;
  reg [A:0] count;
  wire push = in_valid & in_ready, pop = out_valid & out_ready;
  assign in_ready = count != D;
  assign out_valid = count != 0;
  assign out_data = store[head];
  always @(posedge clk) if (push) store[tail] <= in_data;
  always @(posedge clk)
    if (rst) begin
      head <= 0; tail <= 0; count <= 0;
    end else begin
      if (push) tail <= tail == D - 1 ? 0 : tail + 1'b1;
      if (pop) head <= head == D - 1 ? 0 : head + 1'b1;
      count <= count + push - pop;
    end
`ifndef SYNTHESIS
  integer peak = 0;
  always @(posedge clk) if (count > peak) peak <= count;
  final $display("link %0d %0d", ID, count > peak ? count : peak);
`endif
endmodule
"""

WINDOW = """\
// All KH x KW pixels around one place. It visits one place of the padded image each clock, filling in FILL outside.
module window #(parameter W = 8, H = 4, V = 4, TOP = 0, LEFT = 0, BOTTOM = 0, RIGHT = 0,
                KH = 1, KW = 1, SH = 1, SW = 1, parameter [W-1:0] FILL = 0) (
    input clk, input rst, input ce,
    input [W-1:0] in_data, input in_valid, output in_ready,
    output reg [KH*KW*W-1:0] out_data, output reg out_valid
);
  localparam ROWS = TOP + H + BOTTOM, COLUMNS = LEFT + V + RIGHT;
  localparam YB = $clog2(ROWS + SH + 1), XB = $clog2(COLUMNS + SW + 1);
  reg [YB-1:0] y, next_y;
  reg [XB-1:0] x, next_x;
  wire outside = y < TOP || y >= TOP + H || x < LEFT || x >= LEFT + V;
  wire step = ce & (outside | in_valid);
  wire [W-1:0] pixel = outside ? FILL : in_data;
  wire last_x = x == COLUMNS - 1, last_y = y == ROWS - 1, hit_x = x == next_x, hit_y = y == next_y;
  wire [KH*W-1:0] column;
  assign in_ready = ce & ~outside;
  generate
    if (KH > 1) begin : rows
      (* ram_style = "distributed" *) reg [(KH-1)*W-1:0] lines [0:COLUMNS-1];
      wire [(KH-1)*W-1:0] above = lines[x];
      assign column = {pixel, above};
      always @(posedge clk) if (step) lines[x] <= column[KH*W-1:W];
    end else assign column = pixel;
  endgenerate
  genvar i, j;
  generate
    for (i = 0; i < KH; i = i + 1) begin : row
      for (j = 0; j < KW; j = j + 1) begin : place
        always @(posedge clk)
          if (step) out_data[(i*KW+j)*W +: W] <= j == KW - 1 ? column[i*W +: W] : out_data[(i*KW+(j+1)%KW)*W +: W];
      end
    end
  endgenerate
  always @(posedge clk)
    if (rst) begin
      y <= 0; x <= 0; next_y <= KH - 1; next_x <= KW - 1; out_valid <= 0;
    end else begin
      if (ce) out_valid <= step & hit_x & hit_y;
      if (step) begin
        x <= last_x ? 0 : x + 1'b1;
        next_x <= last_x ? KW - 1 : hit_x ? next_x + SW : next_x;
        if (last_x) begin
          y <= last_y ? 0 : y + 1'b1;
          next_y <= last_y ? KH - 1 : hit_y ? next_y + SH : next_y;
        end
      end
    end
endmodule
"""

GATHER = """\
// N words, one behind the other, as a single one.
module gather #(parameter W = 8, N = 4) (
    input clk, input rst, input ce,
    input [W-1:0] in_data, input in_valid, output in_ready,
    output reg [N*W-1:0] out_data, output reg out_valid
);
  reg [$clog2(N+1)-1:0] at;
  wire step = ce & in_valid;
  assign in_ready = ce;
  genvar i;
  generate
    for (i = 0; i < N; i = i + 1) begin : place
      always @(posedge clk)
        if (step) out_data[i*W +: W] <= i == N - 1 ? in_data : out_data[((i+1)%N)*W +: W];
    end
  endgenerate
  always @(posedge clk)
    if (rst) begin
      at <= 0; out_valid <= 0;
    end else begin
      if (ce) out_valid <= step & at == N - 1;
      if (step) at <= at == N - 1 ? 0 : at + 1'b1;
    end
endmodule
"""

TOTAL = """\
// The sum (MAX = 0) or the largest (MAX = 1) of N words, channel by channel.
module total #(parameter C = 1, W = 8, SIGNED = 1, N = 4, OW = 10, MAX = 0) (
    input clk, input rst, input ce,
    input [C*W-1:0] in_data, input in_valid, output in_ready,
    output [C*OW-1:0] out_data, output reg out_valid
);
  reg [$clog2(N+1)-1:0] at;
  wire step = ce & in_valid;
  assign in_ready = ce;
  genvar c;
  generate
    for (c = 0; c < C; c = c + 1) begin : channel
      reg signed [OW-1:0] kept;
      wire signed [OW-1:0] value = $signed({SIGNED ? in_data[c*W+W-1] : 1'b0, in_data[c*W +: W]});
      assign out_data[c*OW +: OW] = kept;
      always @(posedge clk)
        if (step) kept <= at == 0 ? value : MAX ? (value > kept ? value : kept) : kept + value;
    end
  endgenerate
  always @(posedge clk)
    if (rst) begin
      at <= 0; out_valid <= 0;
    end else begin
      if (ce) out_valid <= step & at == N - 1;
      if (step) at <= at == N - 1 ? 0 : at + 1'b1;
    end
endmodule
"""

DELAY = """\
// Carries valid along the L registers of a pipeline.
module delay #(parameter L = 1) (input clk, input rst, input ce, input in, output out);
  reg [L-1:0] carried;
  assign out = carried[L-1];
  always @(posedge clk)
    if (rst) carried <= 0;
    else if (ce) carried <= {carried, in};
endmodule
"""

STREAMS = "\n".join((LINK, WINDOW, GATHER, TOTAL, DELAY))
